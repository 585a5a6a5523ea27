"""Which object made this one, and which may a controller take as its own?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshlab.cluster.embedded.controllers.selectors import selects
from meshlab.kube import Kind, Kube, Object
from meshlab.kube.objects import labels_of

STRATEGIC = "application/strategic-merge-patch+json"


def controller_of(obj: Object) -> Mapping[str, Any] | None:
    """The owner reference of the controller that manages an object."""
    references = obj["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Whether `owner` manages the object."""
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


def reference_to(owner: Object) -> dict[str, Any]:
    """The owner reference that makes `owner` the controller of an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


async def claim(kube: Kube, kind: Kind, owner: Object, candidates: list[Object]) -> list[Object]:
    """Those of the candidates that belong to `owner`: adopts orphans its selector matches, lets go of what it
    owns and no longer matches.
    """
    claimed: list[Object] = []
    for obj in candidates:
        controller, matching = controller_of(obj), selects(owner["spec"]["selector"], labels_of(obj))
        if controller is None:
            if matching and not _is_leaving(obj) and not _is_leaving(owner):
                claimed.append(await _adopt(kube, kind, owner, obj))
        elif controller["uid"] == owner["metadata"]["uid"]:
            if matching:
                claimed.append(obj)
            elif not _is_leaving(owner):
                await _release(kube, kind, owner, obj)
    return claimed


def _is_leaving(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


async def _adopt(kube: Kube, kind: Kind, owner: Object, obj: Object) -> Object:
    metadata = obj["metadata"]
    body = {"metadata": {"uid": metadata["uid"], "ownerReferences": [reference_to(owner)]}}
    return await kube.patch(kind, metadata["name"], body, metadata["namespace"], content_type=STRATEGIC)


async def _release(kube: Kube, kind: Kind, owner: Object, obj: Object) -> None:
    metadata = obj["metadata"]
    gone = {"$patch": "delete", "uid": owner["metadata"]["uid"]}
    body = {"metadata": {"uid": metadata["uid"], "ownerReferences": [gone]}}
    await kube.patch(kind, metadata["name"], body, metadata["namespace"], content_type=STRATEGIC)
