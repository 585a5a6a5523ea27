"""What does a JSON patch (RFC 6902) make of a document, and where does it fail?"""

from __future__ import annotations

import json
from typing import Any

from jsonpatch import JsonPatch, JsonPatchException
from jsonpointer import JsonPointer, JsonPointerException

from meshlab.mesh.overlay import Patch


class PatchError(Exception):
    """A patch that can't be applied: the field of the overlay that is to blame, what is wrong, and the cure."""

    def __init__(self, field: str, what: str, cure: str) -> None:
        super().__init__(what)
        self.field, self.what, self.cure = field, what, cure


def patched(document: Any, patch: Patch, field: str) -> Any:
    """The document after a patch. None is a resource that does not exist: adding at the root makes it."""
    for index, text in enumerate(patch.operations):
        operation = json.loads(text)
        where = f"{field}.operations[{index}]"
        if document is None and (operation["op"], operation["path"]) != ("add", ""):
            cure = 'look for its name in lab.xds(pod); to make a new one, begin with {op: add, path: "", value: …}'
            raise PatchError(f"{field}.name", f"no {patch.kind} is called {patch.name}", cure)
        try:
            document = JsonPatch([operation]).apply(document)
        except (JsonPatchException, JsonPointerException, TypeError, ValueError) as error:
            cure = _nearest(document, operation.get("from") or operation["path"])
            why = "there is no such place" if isinstance(error, JsonPointerException) else str(error)
            raise PatchError(where, f"{operation['op']} {operation['path'] or '(root)'}: {why}", cure) from error
    return document


def _nearest(document: Any, path: str) -> str:
    """How far a pointer leads, and what there is."""
    parts = JsonPointer(path).parts
    for length in range(len(parts), -1, -1):
        reached = JsonPointer.from_parts(parts[:length])
        found = reached.resolve(document, None)
        if isinstance(found, dict | list):
            there = ", ".join(sorted(found)) if isinstance(found, dict) else f"{len(found)} items"
            return f"at {reached.path or 'the root'} there are: {there}"
    return "see lab.xds(pod)"
