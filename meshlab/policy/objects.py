"""Which objects are there, by kind and name?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from meshlab.kube import Object


def namespace_of(obj: Object) -> str:
    """The namespace an object is in; `default` when it does not say, as kubectl has it."""
    return str(obj["metadata"].get("namespace") or "default")


def full_name(obj: Object) -> str:
    """``namespace/name``; an object whose name the API server makes up has none yet."""
    return f"{namespace_of(obj)}/{obj['metadata'].get('name', '')}"


def group_of(obj: Object) -> str:
    """The API group of an object, empty for core kinds."""
    return str(obj["apiVersion"]).rpartition("/")[0]


def same(one: Object, other: Object) -> bool:
    """Whether two objects are one, perhaps at two times or in two versions."""
    return _identity(one) == _identity(other)


def younger(one: Object, other: Object) -> bool:
    """Whether `one` was created after `other`, as far as their timestamps tell."""
    return _created(one) > _created(other)


Claims = Callable[[Object], Iterable[Hashable]]
"""What an object claims for itself; it may be of any shape."""


class Objects:
    """Objects found by kind, namespace and name, whatever version of the kind they were written in.

    Times of creation are whole seconds. Of objects as old as each other, `newest` is the one that is yet to come.
    """

    def __init__(self, objects: Iterable[Object], newest: Object | None = None) -> None:
        self._newest = newest
        self._by_kind: dict[str, dict[tuple[str, str], Object]] = defaultdict(dict)
        for obj in objects:
            self._by_kind[obj.get("kind", "")][namespace_of(obj), obj["metadata"].get("name", "")] = obj
        self._claimed: dict[tuple[str, Claims], dict[Hashable, Object]] = {}

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object of that name."""
        return self._by_kind[kind].get((namespace, name))

    def of(self, kind: str) -> Iterator[Object]:
        """Every object of a kind, oldest first; the name settles a tie."""
        return iter(sorted(self._by_kind[kind].values(), key=self._age))

    def claimed(self, kind: str, claims: Claims) -> Mapping[Hashable, Object]:
        """Which object of a kind is the oldest to claim what, where only one may have it."""
        if (kind, claims) not in self._claimed:
            found: dict[Hashable, Object] = {}
            for obj in self.of(kind):
                for claim in claims(obj):
                    found.setdefault(claim, obj)
            self._claimed[kind, claims] = found
        return self._claimed[kind, claims]

    def _age(self, obj: Object) -> tuple[str, bool, str, str]:
        return _created(obj), obj is self._newest, namespace_of(obj), obj["metadata"].get("name", "")

    def lacks(self, kind: str, namespace: str, name: str) -> bool:
        """Whether an object is missing, as far as can be told: false when nothing of its kind was looked at."""
        return bool(self._by_kind[kind]) and self.get(kind, namespace, name) is None


def _identity(obj: Object) -> tuple[str, str, str, str]:
    return group_of(obj), obj["kind"], namespace_of(obj), obj["metadata"].get("name", "")


def _created(obj: Object) -> str:
    """The creation time, which sorts as text; what has none is newest."""
    return str(obj["metadata"].get("creationTimestamp") or "9999")
