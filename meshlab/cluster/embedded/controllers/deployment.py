"""Is a Deployment's present version the one that runs, and how is it reached from the version before?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.controllers import deployment_status as progress
from meshlab.cluster.embedded.controllers import revisions, rollout
from meshlab.cluster.embedded.controllers.owners import claim, controller_of, is_controlled_by
from meshlab.cluster.embedded.controllers.pods import condition, is_finished
from meshlab.cluster.embedded.controllers.selectors import selects
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import ApiError, Change, Kube, Object
from meshlab.kube.objects import DEPLOYMENT, POD, REPLICA_SET, labels_of


class DeploymentController:
    """Makes one ReplicaSet per version and moves pods from the old ones to the present one, step by step.

    A step is at most one write per ReplicaSet, guarded by its resourceVersion; the change it makes brings the
    Deployment back for the next step.
    """

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._events = Recorder(kube, "deployment-controller")
        self._deployments, self._sets, self._pods = map(informers.of, (DEPLOYMENT, REPLICA_SET, POD))
        self._queue: WorkQueue[Key] = WorkQueue("deployment", self._sync)
        self._deployments.listen(lambda change: self._queue.add(key_of(change.object)))
        self._sets.listen(self._set_changed)
        self._pods.listen(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _set_changed(self, change: Change) -> None:
        replica_set = change.object
        namespace, controller = replica_set["metadata"]["namespace"], controller_of(replica_set)
        if controller is None:
            for deployment in self._deployments.all(namespace):
                if selects(deployment["spec"]["selector"], labels_of(replica_set)):
                    self._queue.add(key_of(deployment))
        elif controller["kind"] == "Deployment":
            self._queue.add((namespace, controller["name"]))

    def _pod_changed(self, change: Change) -> None:
        """A Deployment that recreates waits for the last old pod to go."""
        controller = controller_of(change.object)
        if change.type == "DELETED" and controller and controller["kind"] == "ReplicaSet":
            replica_set = self._sets.get(change.object["metadata"]["namespace"], controller["name"])
            if replica_set:
                self._set_changed(Change("MODIFIED", replica_set))

    async def _sync(self, key: Key) -> None:
        deployment = self._deployments.get(*key)
        if deployment is None:
            return
        replica_sets = await claim(self._kube, REPLICA_SET, deployment, list(self._sets.all(key[0])))
        if not deployment["metadata"].get("deletionTimestamp"):
            deployment, replica_sets = await self._step(deployment, replica_sets)
        await self._report(deployment, replica_sets)

    async def _step(self, deployment: Object, replica_sets: list[Object]) -> tuple[Object, list[Object]]:
        spec = deployment["spec"]
        deployment = _note_pause(deployment)
        if spec.get("paused") or self._was_scaled(deployment, replica_sets):
            await self._scale_all(deployment, replica_sets)
            return deployment, replica_sets
        new = revisions.newest(deployment, replica_sets)
        old = [found for found in replica_sets if found is not new]
        if (spec.get("strategy") or {}).get("type") == "Recreate":
            stopping = [await self._resize(deployment, found, 0) for found in old]
            if any(stopping) or self._has_pods(old):
                return deployment, replica_sets
        if new is None:
            deployment, new = await self._create(deployment, old)
        else:
            deployment, new = await self._reuse(deployment, new, old)
        await self._move(deployment, new, old)
        return deployment, [*old, new]

    async def _move(self, deployment: Object, new: Object, old: list[Object]) -> None:
        """One step from the old versions to the new one."""
        limits = rollout.limits_of(deployment)
        if await self._resize(deployment, new, rollout.scale_up(limits, new, [*old, new])):
            return
        keep = rollout.scale_down(limits, new, old)
        for found in old:
            await self._resize(deployment, found, keep[found["metadata"]["name"]])
        if rollout.is_saturated(limits, new):
            await self._forget_old_versions(deployment, old)

    async def _create(self, deployment: Object, old: list[Object]) -> tuple[Object, Object]:
        limits, revision = rollout.limits_of(deployment), revisions.next_revision(old)
        room = limits.total - sum(map(rollout.replicas, old))
        count = max(0, min(limits.desired, room))
        wanted = revisions.new_replica_set(deployment, revision, count, limits.total)
        name = wanted["metadata"]["name"]
        try:
            created = await self._kube.create(wanted)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                await self._resolve_collision(deployment, name)
            raise
        if count:
            self._events.record(deployment, "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {count}")
        deployment = await self._annotate(deployment, revision)
        news = progress.progressed("NewReplicaSetCreated", f'Created new replica set "{name}"')
        return _with_condition(deployment, news), created

    async def _resolve_collision(self, deployment: Object, name: str) -> None:
        """Another template or owner has this hash: count the collision, so that the next try gets another name."""
        namespace = deployment["metadata"]["namespace"]
        existing = await self._kube.find(REPLICA_SET, name, namespace)
        if existing is None or is_controlled_by(existing, deployment):
            return
        count = (deployment.get("status") or {}).get("collisionCount", 0) + 1
        body = {"status": {"collisionCount": count}}
        await self._kube.patch(DEPLOYMENT, deployment["metadata"]["name"], body, namespace, subresource="status")

    async def _reuse(self, deployment: Object, new: Object, old: list[Object]) -> tuple[Object, Object]:
        revision = max(revisions.next_revision(old), revisions.revision_of(new))
        changed = revisions.annotations_for_reuse(deployment, new, revision)
        seconds = deployment["spec"].get("minReadySeconds", 0)
        if changed or new["spec"].get("minReadySeconds", 0) != seconds:
            body = {"metadata": {"annotations": changed}, "spec": {"minReadySeconds": seconds}}
            new = await self._patch_set(new, body)
        if not condition(deployment, "Progressing"):
            message = f'Found new replica set "{new["metadata"]["name"]}"'
            deployment = _with_condition(deployment, progress.progressed("FoundNewReplicaSet", message))
        return await self._annotate(deployment, revision), new

    async def _annotate(self, deployment: Object, revision: int) -> Object:
        """The Deployment, carrying its revision. Its status stays as it is here: it may hold unwritten conditions."""
        metadata = deployment["metadata"]
        if revisions.revision_of(deployment) == revision:
            return deployment
        body = {"metadata": {"annotations": {revisions.REVISION: str(revision)}}}
        written = await self._kube.patch(DEPLOYMENT, metadata["name"], body, metadata["namespace"])
        return {**written, "status": deployment.get("status") or {}}

    def _was_scaled(self, deployment: Object, replica_sets: list[Object]) -> bool:
        desired = str(deployment["spec"]["replicas"])
        told = [revisions.annotations_of(found).get(revisions.DESIRED_REPLICAS) for found in _active(replica_sets)]
        return any(value is not None and value != desired for value in told)

    async def _scale_all(self, deployment: Object, replica_sets: list[Object]) -> None:
        """Bring all versions to the Deployment's new size, without moving pods between them."""
        limits, active = rollout.limits_of(deployment), _active(replica_sets)
        new = revisions.newest(deployment, replica_sets)
        if len(active) <= 1:
            latest = new or max(replica_sets, key=revisions.by_age, default=None)
            for found in active or [found for found in [latest] if found]:
                await self._resize(deployment, found, limits.desired)
        elif rollout.is_saturated(limits, new):
            for found in active:
                await self._resize(deployment, found, 0 if found is not new else limits.desired)
        else:
            sizes = rollout.in_proportion(limits, active)
            for found in active:
                await self._resize(deployment, found, sizes[found["metadata"]["name"]])

    async def _resize(self, deployment: Object, replica_set: Object, count: int) -> bool:
        """Whether the ReplicaSet had to be told a new size."""
        before, limits = rollout.replicas(replica_set), rollout.limits_of(deployment)
        told = {revisions.DESIRED_REPLICAS: str(limits.desired), revisions.MAX_REPLICAS: str(limits.total)}
        if before == count and (not count or told.items() <= revisions.annotations_of(replica_set).items()):
            return False
        await self._patch_set(replica_set, {"metadata": {"annotations": told}, "spec": {"replicas": count}})
        if before != count:
            word, name = "up" if count > before else "down", replica_set["metadata"]["name"]
            message = f"Scaled {word} replica set {name} from {before} to {count}"
            self._events.record(deployment, "ScalingReplicaSet", message)
        return before != count

    async def _patch_set(self, replica_set: Object, body: dict[str, Any]) -> Object:
        """Patch a ReplicaSet unless somebody else changed it meanwhile (409)."""
        metadata = replica_set["metadata"]
        body["metadata"]["resourceVersion"] = metadata["resourceVersion"]
        return await self._kube.patch(REPLICA_SET, metadata["name"], body, metadata["namespace"])

    def _has_pods(self, replica_sets: list[Object]) -> bool:
        return any(
            is_controlled_by(pod, found) and not is_finished(pod)
            for found in replica_sets
            for pod in self._pods.all(found["metadata"]["namespace"])
        )

    async def _forget_old_versions(self, deployment: Object, old: list[Object]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        idle = [
            found for found in old if not rollout.replicas(found) and not (found.get("status") or {}).get("replicas")
        ]
        idle.sort(key=revisions.revision_of)
        for found in idle[: max(0, len(idle) - limit)]:
            await self._kube.delete(REPLICA_SET, found["metadata"]["name"], found["metadata"]["namespace"])

    async def _report(self, deployment: Object, replica_sets: list[Object]) -> None:
        key = key_of(deployment)
        new, limits = revisions.newest(deployment, replica_sets), rollout.limits_of(deployment)
        status = progress.status_of(deployment, limits, new, replica_sets)
        stored = self._deployments.get(*key)
        if stored is None or status != stored.get("status"):
            await self._kube.replace({**deployment, "status": status}, subresource="status")
        wait = progress.seconds_to_deadline({**deployment, "status": status})
        if wait is not None:
            self._queue.add_after(key, wait)


def _active(replica_sets: list[Object]) -> list[Object]:
    return [found for found in replica_sets if rollout.replicas(found)]


def _with_condition(deployment: Object, new: dict[str, Any]) -> Object:
    status = deployment.get("status") or {}
    others = [found for found in status.get("conditions") or [] if found["type"] != new["type"]]
    return {**deployment, "status": {**status, "conditions": [*others, new]}}


def _note_pause(deployment: Object) -> Object:
    """A paused Deployment's progress is not timed; its Progressing condition says so."""
    known, paused = condition(deployment, "Progressing"), deployment["spec"].get("paused", False)
    if known.get("reason") == "ProgressDeadlineExceeded":
        return deployment
    if paused and known.get("reason") != "DeploymentPaused":
        news = progress.progressed("DeploymentPaused", "Deployment is paused", status="Unknown")
        return _with_condition(deployment, news)
    if not paused and known.get("reason") == "DeploymentPaused":
        news = progress.progressed("DeploymentResumed", "Deployment is resumed", status="Unknown")
        return _with_condition(deployment, news)
    return deployment
