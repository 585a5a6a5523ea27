"""Who owns whom? The graph that garbage collection walks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from meshlab.cluster.embedded.informers import key_of
from meshlab.kube import Change, Kind, Object


@dataclass(slots=True)
class Item:
    """An object as the graph knows it."""

    kind: Kind
    object: Object
    owners: list[dict[str, Any]] = field(default_factory=list)

    @property
    def uid(self) -> str:
        """What owner references point to."""
        return str(self.object["metadata"]["uid"])

    @property
    def finalizers(self) -> list[str]:
        """What must be done before it can go."""
        return self.object["metadata"].get("finalizers") or []

    @property
    def is_leaving(self) -> bool:
        """Whether it is being deleted."""
        return bool(self.object["metadata"].get("deletionTimestamp"))

    @property
    def namespace(self) -> str:
        """Where it is; empty for what is in no namespace."""
        return key_of(self.object)[0]


class Ownership:
    """Every object by its uid, and the dependents of every uid, whether that object is there or not."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, set[str]] = {}

    def note(self, kind: Kind, change: Change) -> Item:
        """Take in a change; the item it is about."""
        item = Item(kind, change.object, change.object["metadata"].get("ownerReferences") or [])
        before = self._items.pop(item.uid, None)
        for owner in before.owners if before else []:
            self._dependents[owner["uid"]].discard(item.uid)
            if not self._dependents[owner["uid"]]:
                del self._dependents[owner["uid"]]
        if change.type != "DELETED":
            self._items[item.uid] = item
            for owner in item.owners:
                self._dependents.setdefault(owner["uid"], set()).add(item.uid)
        return item

    def get(self, uid: str) -> Item | None:
        """The object with a uid, if it is known."""
        return self._items.get(uid)

    def owner(self, dependent: Item, reference: dict[str, Any]) -> Item | None:
        """The object that a reference means, if it is known: in the dependent's namespace, or in none."""
        found = self._items.get(reference["uid"])
        return found if found and found.namespace in ("", dependent.namespace) else None

    def dependents(self, uid: str) -> Iterator[Item]:
        """What refers to a uid as its owner."""
        for dependent in list(self._dependents.get(uid, ())):
            yield self._items[dependent]
