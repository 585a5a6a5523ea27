"""Which change of policy would allow this, what would it look like, and does it really?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from meshlab.kube import Object, dump
from meshlab.lab.reading import Known, changed
from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Decision
from meshlab.mesh.remedy import Edit, remedies
from meshlab.policy.objects import namespace_of, same
from meshlab.policy.smi.edit import edited


@dataclass(frozen=True, slots=True)
class Proposal:
    """The smallest edit that allows a request, proven by deciding again."""

    edits: tuple[Edit, ...]
    objects: tuple[Object, ...]
    """The changed and new objects as they are to be."""
    diff: str
    """What changes in them, line by line; a new object is all new lines."""

    @property
    def yaml(self) -> str:
        """The objects, as one would write them."""
        return dump(_plain(obj) for obj in self.objects)

    def __str__(self) -> str:
        return "; ".join(map(str, self.edits))


def propose(known: Known, decision: Decision) -> Proposal | None:
    """The first of the remedies that holds. None for what is allowed, and where no policy can help."""
    for edits in remedies(decision):
        objects = edited(known.objects, edits)
        if objects and decide(changed(known, objects).world, decision.request).allowed:
            return Proposal(edits, tuple(objects), _diff(known.objects, objects))
    return None


def _diff(before: Iterable[Object], after: Iterable[Object]) -> str:
    old = list(before)
    return "\n".join(
        line
        for obj in after
        for line in _lines(next((_plain(other) for other in old if same(other, obj)), None), _plain(obj))
    )


def _lines(old: Object | None, new: Object) -> list[str]:
    name = f"{new['kind']} {namespace_of(new)}/{new['metadata']['name']}"
    was = dump(old).splitlines() if old else []
    return list(difflib.unified_diff(was, dump(new).splitlines(), name if old else "nothing", name, lineterm=""))


def _plain(obj: Object) -> Object:
    """An object as a person writes it."""
    metadata = {key: value for key, value in obj["metadata"].items() if key in {"name", "namespace", "labels"}}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata, "spec": obj["spec"]}
