"""Is it ready yet, and if not, what is it waiting for?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable

from meshlab.errors import ClusterError, PolicyError
from meshlab.kube import Kind, Kube, Object, Ref, Reflector
from meshlab.kube.objects import DEPLOYMENT, POD, STATEFUL_SET
from meshlab.lab.steps import Say

Key = tuple[str, str]
_LONGEST_SECONDS = 180
_POLL_SECONDS = 0.1


async def served(kube: Kube, crds: Collection[Object]) -> None:
    """Wait until the cluster serves these custom kinds: a real one says Established a little before it does.

    Raises ClusterError ML130 after three minutes.
    """
    about = ""
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            for crd in crds:
                about = str(Ref.of(crd))
                while not await _is_served(kube, crd):  # noqa: ASYNC110  # discovery can't be watched
                    await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        what = f"the cluster does not serve it after {_LONGEST_SECONDS} s"
        raise ClusterError("ML130", what, about=about, hint="kubectl describe crd") from None


async def _is_served(kube: Kube, crd: Object) -> bool:
    spec = crd["spec"]
    try:
        for version in spec["versions"]:
            await kube.kind_of({"apiVersion": f"{spec['group']}/{version['name']}", "kind": spec["names"]["kind"]})
    except PolicyError:
        return False
    return True


async def aggregated(kube: Kube, api_services: Collection[Object]) -> None:
    """Wait until the API server passes requests on to these: it asks each first, and again some time after a refusal.

    Raises ClusterError ML130 with what it says of the one that is missing, after three minutes.
    """
    waiting = {obj["metadata"]["name"] for obj in api_services}
    found = Reflector(kube, await kube.kind_of(next(iter(api_services))))
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            async for _ in found.changes():
                waiting = {name for name in waiting if not condition(found.store.get(("", name), {}), "Available")}
                if not waiting:
                    return
    except TimeoutError:
        about = f"APIService {min(waiting)}"
        said = conditions(found.store.get(("", min(waiting)), {}))
        what = "; ".join(row.get("message", "") for row in said) or "the API server says nothing of it"
        raise ClusterError("ML130", what, about=about, hint=f"kubectl describe apiservice {min(waiting)}") from None


async def available(kube: Kube, objects: Iterable[Object], say: Say) -> str:
    """Wait until every pod of the Deployments and StatefulSets among these is of the newest template and available.

    Raises ClusterError ML130 with what the pods say, after three minutes.
    """
    waiting = {kind: [_key(obj) for obj in objects if obj["kind"] == kind.kind] for kind in (DEPLOYMENT, STATEFUL_SET)}
    total = sum(map(len, waiting.values()))
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            for kind, keys in list(waiting.items()):
                async for left in _not_available(kube, kind, keys):
                    waiting[kind] = left
                    still = [name for keys in waiting.values() for _, name in keys]
                    if left:
                        say(f"{total - len(still)} of {total} ready, waiting for {still[0]}")
    except TimeoutError:
        raise await _not_ready(kube, next((kind, keys[0]) for kind, keys in waiting.items() if keys)) from None
    return f"{total} ready"


async def _not_available(kube: Kube, kind: Kind, keys: list[Key]) -> AsyncIterator[list[Key]]:
    """Which of them are still to come, whenever something changes, until none is."""
    if not keys:
        return
    found = Reflector(kube, kind)
    async for _ in found.changes():
        left = [key for key in keys if not rolled_out(found.store.get(key))]
        yield left
        if not left:
            return


def _key(obj: Object) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def rolled_out(workload: Object | None) -> bool:
    """What `kubectl rollout status` waits for."""
    if not workload:
        return False
    wanted = workload["spec"].get("replicas", 1)
    status = workload.get("status") or {}
    seen = status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
    return seen and all(
        status.get(field, 0) == wanted for field in ("replicas", "updatedReplicas", "availableReplicas")
    )


def condition(obj: Object, type_: str) -> bool:
    """Whether a condition of an object's status is True."""
    return any(row["type"] == type_ and row["status"] == "True" for row in conditions(obj))


def conditions(obj: Object) -> list[Object]:
    """The conditions of an object's status."""
    return (obj.get("status") or {}).get("conditions") or []


async def _not_ready(kube: Kube, which: tuple[Kind, Key]) -> ClusterError:
    kind, (namespace, name) = which
    workload = await kube.find(kind, name, namespace) or {}
    refusals = [row["message"] for row in conditions(workload) if row["type"] == "ReplicaFailure"]
    reasons = refusals + [reason for pod in await kube.list(POD, namespace) for reason in pod_troubles(pod)]
    what = f"it is not ready after {_LONGEST_SECONDS} s" + (f": {'; '.join(sorted(set(reasons)))}" if reasons else "")
    about = str(Ref(kind.kind, name, namespace))
    return ClusterError("ML130", what, about=about, hint=f"kubectl describe pods -n {namespace}")


def pod_troubles(pod: Object) -> Iterable[str]:
    """Why a pod isn't running, in the words of its containers: `ErrImagePull: …`."""
    status = pod.get("status") or {}
    for row in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = (row.get("state") or {}).get("waiting")
        if waiting:
            yield f"{waiting.get('reason', 'waiting')}: {waiting.get('message', row['name'])}"
