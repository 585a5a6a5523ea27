"""Is a Job's work done, and if not, is enough of it under way?"""

from __future__ import annotations

from collections.abc import Iterable

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.controllers import job_status as progress
from meshlab.cluster.embedded.controllers.job_pods import (
    FINALIZER,
    JOB_NAME,
    has_failed,
    indexes,
    is_tracked,
    new_pods,
)
from meshlab.cluster.embedded.controllers.owners import STRATEGIC, controller_of
from meshlab.cluster.embedded.controllers.pod_control import PodControl
from meshlab.cluster.embedded.controllers.pods import condition, is_active, is_finished, victims_first
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import ApiError, Change, Kube, Object
from meshlab.kube.objects import JOB, POD, labels_of

_MOST_AT_ONCE = 500


class JobController:
    """Counts pods that have ended and makes others, until the work is done or given up.

    Every pod is counted once, come what may: its uid is written down in the status, then its finalizer is taken
    off, then the number goes up. Each sync reads Job and pods anew, for an old copy would count wrongly.
    """

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._events = Recorder(kube, "job-controller")
        self._watched_pods = informers.of(POD)
        self._pods = PodControl(kube, informers, JOB, self._events)
        self._queue: WorkQueue[Key] = WorkQueue("job", self._sync)
        informers.of(JOB).listen(lambda change: self._queue.add(key_of(change.object)))
        self._pods.listen(self._queue)
        self._watched_pods.listen(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _pod_changed(self, change: Change) -> None:
        """A pod that was left behind by its Job still has the finalizer."""
        pod = change.object
        if is_tracked(pod) and controller_of(pod) is None and JOB_NAME in labels_of(pod):
            self._queue.add((pod["metadata"]["namespace"], labels_of(pod)[JOB_NAME]))

    async def _sync(self, key: Key) -> None:
        job = await self._kube.find(JOB, key[1], key[0])
        await self._release(self._left_behind(key, job))
        if job is None or (job["spec"].get("managedBy") or "").strip():
            return
        pods = await self._pods.fresh(job)
        if progress.is_over(job) or job["metadata"].get("deletionTimestamp"):
            await self._release(filter(is_tracked, pods))
            await self._expire(job)
            return
        job = await self._write(job, progress.note_ended(job, pods))
        await self._release(pod for pod in pods if is_tracked(pod) and self._is_done_with(job, pod))
        status = self._begin(job, progress.counted(job, pods))
        if decided := progress.verdict(job, status, pods):
            status = await self._end(job, status, decided, pods)
        else:
            status = await self._manage(job, status, pods)
        await self._write(job, status)

    def _left_behind(self, key: Key, job: Object | None) -> list[Object]:
        """Pods of an earlier Job of this name, and of this one if it let go of them."""
        uid = job["metadata"]["uid"] if job else ""

        def belongs(pod: Object) -> bool:
            controller = controller_of(pod)
            if controller is None:
                return job is None and labels_of(pod).get(JOB_NAME) == key[1]
            return (controller["kind"], controller["name"]) == ("Job", key[1]) and bool(controller["uid"] != uid)

        return [pod for pod in self._watched_pods.all(key[0]) if is_tracked(pod) and belongs(pod)]

    @staticmethod
    def _is_done_with(job: Object, pod: Object) -> bool:
        ends_uncounted = bool(pod["metadata"].get("deletionTimestamp")) and bool(job["spec"].get("suspend"))
        return is_finished(pod) or has_failed(job, pod) or ends_uncounted

    def _begin(self, job: Object, status: progress.Status) -> progress.Status:
        """Note the start, a suspension and its end."""
        was_suspended = condition(job, "Suspended").get("status") == "True"
        if job["spec"].get("suspend"):
            status.pop("startTime", None)
            if not was_suspended:
                self._events.record(job, "Suspended", "Job suspended")
                return progress.with_condition(status, "Suspended", "True", "JobSuspended", "Job suspended")
            return status
        status.setdefault("startTime", now())
        if was_suspended:
            self._events.record(job, "Resumed", "Job resumed")
            return progress.with_condition(status, "Suspended", "False", "JobResumed", "Job resumed")
        return status

    async def _manage(self, job: Object, status: progress.Status, pods: list[Object]) -> progress.Status:
        """Make or end pods; the status with the new number of them."""
        key, active = key_of(job), list(filter(is_active, pods))
        waits = [progress.seconds_to_deadline(job, status)]
        missing = -len(active) if job["spec"].get("suspend") else progress.missing(job, status)
        if missing > 0 and (delay := progress.seconds_to_retry(pods)):
            waits.append(delay)
        elif missing > 0:
            completed = indexes(status.get("completedIndexes", ""))
            made = await self._pods.create(job, new_pods(job, min(missing, _MOST_AT_ONCE), active, completed))
            status = {**status, "active": status["active"] + len(made)}
        elif missing < 0:
            await self._pods.delete(job, victims_first(active)[:-missing])
            status = {**status, "active": status["active"] + missing}
        if to_come := [wait for wait in waits if wait is not None]:
            self._queue.add_after(key, max(0.0, min(to_come)))
        return status

    async def _end(
        self, job: Object, status: progress.Status, decided: progress.Verdict, pods: list[Object]
    ) -> progress.Status:
        """Announce the end, end the pods that are left, then say that it is over."""
        reason, message = decided.reason, decided.message
        if not condition({"status": status}, decided.announcement):
            status = progress.with_condition(status, decided.announcement, "True", reason, message)
        await self._pods.delete(job, filter(is_active, pods))
        if not all(map(is_finished, pods)):
            return status
        if decided.type == "Complete":
            status = {**status, "completionTime": now()}
            self._events.record(job, "Completed", "Job completed")
        else:
            self._events.record(job, reason, message, warning=True)
        return progress.with_condition(status, decided.type, "True", reason, message)

    async def _expire(self, job: Object) -> None:
        left = progress.seconds_to_expiry(job) if progress.is_over(job) else None
        if left is None or job["metadata"].get("deletionTimestamp"):
            return
        if left > 0:
            self._queue.add_after(key_of(job), left)
            return
        body = {"propagationPolicy": "Foreground", "preconditions": {"uid": job["metadata"]["uid"]}}
        await self._kube.request("DELETE", JOB.path(*key_of(job)), body=body, about=f"Job {'/'.join(key_of(job))}")

    async def _release(self, pods: Iterable[Object]) -> None:
        body = {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
        for pod in pods:
            metadata = pod["metadata"]
            try:
                await self._kube.patch(POD, metadata["name"], body, metadata["namespace"], content_type=STRATEGIC)
            except ApiError as error:
                if error.reason != "NotFound":
                    raise

    async def _write(self, job: Object, status: progress.Status) -> Object:
        status = progress.tidy(status)
        if status == job.get("status"):
            return job
        return await self._kube.replace({**job, "status": status}, subresource="status")
