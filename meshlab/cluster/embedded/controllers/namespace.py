"""When may a namespace that is to be deleted go? When nothing is left in it."""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.controllers.pods import condition
from meshlab.cluster.embedded.controllers.served_kinds import ServedKinds
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.informers import Informers, Key
from meshlab.kube import Change, Kind, Kube, Object
from meshlab.kube.objects import NAMESPACE, POD

_FINALIZER = "kubernetes"


class NamespaceController:
    """Deletes what is in the namespace, pods first and the rest when they have ended, then lets it go."""

    def __init__(self, kube: Kube, informers: Informers, served: ServedKinds) -> None:
        self._kube = kube
        self._served = served
        self._namespaces = informers.of(NAMESPACE)
        self._queue: WorkQueue[Key] = WorkQueue("namespace", self._sync)
        self._namespaces.listen(lambda change: self._queue.add(("", change.object["metadata"]["name"])))
        served.listen(self._content_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _content_changed(self, kind: Kind, change: Change) -> None:
        if kind.namespaced and change.type == "DELETED":
            self._queue.add(("", change.object["metadata"]["namespace"]))

    async def _sync(self, key: Key) -> None:
        await self._served.known.wait()
        namespace = self._namespaces.get(*key)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return
        finalizers = namespace["spec"].get("finalizers") or []
        if _FINALIZER not in finalizers:
            return
        name = key[1]
        left = await self._empty(POD, name)
        if not left:
            for kind in sorted(self._served.kinds):
                left += await self._empty(kind, name) if kind.namespaced else []
        if left:
            await self._report(namespace, left)
            return
        spec = {**namespace["spec"], "finalizers": [entry for entry in finalizers if entry != _FINALIZER]}
        path = NAMESPACE.path(name=name, subresource="finalize")
        await self._kube.request("PUT", path, body={**namespace, "spec": spec}, about=f"Namespace {name}")

    async def _empty(self, kind: Kind, namespace: str) -> list[Object]:
        """Delete all objects of a kind; those that are still there."""
        found = await self._kube.list(kind, namespace)
        if any(not obj["metadata"].get("deletionTimestamp") for obj in found):
            await self._kube.request("DELETE", kind.path(namespace), query={"propagationPolicy": "Background"})
            found = await self._kube.list(kind, namespace)
        return found

    async def _report(self, namespace: Object, left: list[Object]) -> None:
        kinds = sorted({obj["kind"] for obj in left})
        finalizers = sorted({name for obj in left for name in obj["metadata"].get("finalizers") or []})
        counts = ", ".join(f"{kind} ({sum(obj['kind'] == kind for obj in left)})" for kind in kinds)
        conditions = [
            _condition(
                namespace, "NamespaceContentRemaining", "SomeResourcesRemain", f"Some resources remain: {counts}"
            ),
            _condition(
                namespace,
                "NamespaceFinalizersRemaining",
                "SomeFinalizersRemain" if finalizers else "",
                f"Some content has finalizers remaining: {', '.join(finalizers)}",
            ),
        ]
        status = {**(namespace.get("status") or {}), "conditions": conditions}
        if status != namespace.get("status"):
            await self._kube.replace({**namespace, "status": status}, subresource="status")


def _condition(namespace: Object, type_: str, reason: str, message: str) -> dict[str, Any]:
    known, status = condition(namespace, type_), "True" if reason else "False"
    since = known["lastTransitionTime"] if known.get("status") == status else now()
    return {
        "type": type_,
        "status": status,
        "reason": reason or "ContentHasNoFinalizers",
        "message": message if reason else "All content-preserving finalizers finished",
        "lastTransitionTime": since,
    }
