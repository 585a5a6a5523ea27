"""How does an existing cluster get rid of a mesh? What the lab made is deleted, in the opposite order.

What was there before the lab came is left alone: only what the lab creates carries its mark.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshlab.errors import PolicyError
from meshlab.kube import Kube, Object, labels_of
from meshlab.lab.steps import Say

_MARK = "app.kubernetes.io/managed-by"
_LAB = "meshlab"


async def marked(kube: Kube, obj: Object) -> Object:
    """The object with the lab's mark, unless somebody else made it before."""
    metadata = obj["metadata"]
    found = await kube.find(await kube.kind_of(obj), metadata["name"], metadata.get("namespace", ""))
    if found and labels_of(found).get(_MARK) != _LAB:
        return obj
    return {**obj, "metadata": {**metadata, "labels": {**labels_of(obj), _MARK: _LAB}}}


async def uninstall(kube: Kube, objects: Sequence[Object], say: Say) -> str:
    """Delete those of the objects that carry the mark; how many that were."""
    gone = 0
    for obj in reversed(objects):
        gone += await _delete(kube, obj)
        say(f"{gone} objects deleted")
    return f"{gone} objects deleted"


async def _delete(kube: Kube, obj: Object) -> bool:
    metadata = obj["metadata"]
    try:
        kind = await kube.kind_of(obj)
    except PolicyError:  # its kind is gone, and it with it
        return False
    found = await kube.find(kind, metadata["name"], metadata.get("namespace", ""))
    if not found or labels_of(found).get(_MARK) != _LAB:
        return False
    await kube.delete(kind, metadata["name"], metadata.get("namespace", ""))
    return True
