"""Is a CronJob due, and which of its Jobs are worth keeping?"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from meshlab.cluster.embedded.controllers.job_status import is_over
from meshlab.cluster.embedded.controllers.owners import controller_of, is_controlled_by, reference_to
from meshlab.cluster.embedded.controllers.pods import condition
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.cron import Schedule, ScheduleError
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import ApiError, Change, Kube, Object
from meshlab.kube.objects import CRON_JOB, JOB

_SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_AFTER_THE_MINUTE = 0.1


class CronJobController:
    """Makes a Job when one is due, at most one for each due time: its name tells the minute."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._events = Recorder(kube, "cronjob-controller")
        self._cron_jobs, self._jobs = informers.of(CRON_JOB), informers.of(JOB)
        self._queue: WorkQueue[Key] = WorkQueue("cronjob", self._sync)
        self._cron_jobs.listen(lambda change: self._queue.add(key_of(change.object)))
        self._jobs.listen(self._job_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _job_changed(self, change: Change) -> None:
        controller = controller_of(change.object)
        if controller and controller["kind"] == "CronJob":
            self._queue.add((change.object["metadata"]["namespace"], controller["name"]))

    async def _sync(self, key: Key) -> None:
        cron_job = self._cron_jobs.get(*key)
        if cron_job is None or cron_job["metadata"].get("deletionTimestamp"):
            return
        jobs = [job for job in await self._kube.list(JOB, key[0]) if is_controlled_by(job, cron_job)]
        status = self._look_after(cron_job, jobs)
        await self._forget_old(cron_job, jobs)
        if not cron_job["spec"].get("suspend"):
            status = await self._start(cron_job, status, jobs)
        if status != (cron_job.get("status") or {}):
            await self._kube.replace({**cron_job, "status": status}, subresource="status")

    def _look_after(self, cron_job: Object, jobs: list[Object]) -> dict[str, Any]:
        """The status by what became of the Jobs."""
        status = dict(cron_job.get("status") or {})
        by_uid = {job["metadata"]["uid"]: job for job in jobs}
        active = []
        for reference in status.pop("active", None) or []:
            job = by_uid.get(reference["uid"])
            if job is None:
                text = f"Active job went missing: {reference['name']}"
                self._events.record(cron_job, "MissingJob", text)
            elif is_over(job):
                how = "Complete" if condition(job, "Complete") else "Failed"
                text = f"Saw completed job: {reference['name']}, condition: {how}"
                self._events.record(cron_job, "SawCompletedJob", text)
            else:
                active.append(reference)
        ends = [end for job in jobs if (end := (job.get("status") or {}).get("completionTime"))]
        if ends:
            status["lastSuccessfulTime"] = max([*ends, status.get("lastSuccessfulTime", "")])
        return {**({"active": active} if active else {}), **status}

    async def _forget_old(self, cron_job: Object, jobs: list[Object]) -> None:
        spec = cron_job["spec"]
        for how, field in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            ended = [job for job in jobs if condition(job, how).get("status") == "True"]
            ended.sort(key=lambda job: ((job.get("status") or {}).get("startTime", ""), job["metadata"]["name"]))
            for job in ended[: max(0, len(ended) - spec[field])]:
                await self._delete(cron_job, job["metadata"]["name"])

    async def _start(self, cron_job: Object, status: dict[str, Any], jobs: list[Object]) -> dict[str, Any]:
        """Make a Job if one is due; the status that tells of it."""
        spec, moment = cron_job["spec"], datetime.now(_zone(cron_job))
        try:
            schedule = Schedule.parse(spec["schedule"])
        except ScheduleError as error:
            self._events.record(cron_job, "UnparseableSchedule", str(error), warning=True)
            return status
        since = datetime.fromisoformat(status.get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"])
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None:
            since = max(since, moment - timedelta(seconds=deadline))
        since = since.astimezone(moment.tzinfo)
        due = schedule.last(since, moment)
        if following := schedule.after(due or since):
            self._queue.add_after(key_of(cron_job), (following - moment).total_seconds() + _AFTER_THE_MINUTE)
        if due is None:
            return status
        active = status.get("active") or []
        if active and spec["concurrencyPolicy"] == "Forbid":
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._events.record(cron_job, "JobAlreadyActive", text)
            return status
        if spec["concurrencyPolicy"] == "Replace":
            for reference in active:
                await self._delete(cron_job, reference["name"])
            active = []
        reference = await self._create(cron_job, due, jobs)
        scheduled = due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {**status, "active": [*active, reference], "lastScheduleTime": scheduled}

    async def _create(self, cron_job: Object, due: datetime, jobs: list[Object]) -> dict[str, Any]:
        wanted = new_job(cron_job, due)
        name = wanted["metadata"]["name"]
        job = next((found for found in jobs if found["metadata"]["name"] == name), None)
        if job is None:
            try:
                job = await self._kube.create(wanted)
            except ApiError as error:
                self._events.record(cron_job, "FailedCreate", f"Error creating job: {error.message}", warning=True)
                raise
            self._events.record(cron_job, "SuccessfulCreate", f"Created job {name}")
        metadata = job["metadata"]
        fields = {field: metadata[field] for field in ("name", "namespace", "resourceVersion", "uid")}
        return {"apiVersion": JOB.api_version, "kind": JOB.kind, **fields}

    async def _delete(self, cron_job: Object, name: str) -> None:
        await self._kube.delete(JOB, name, cron_job["metadata"]["namespace"])
        self._events.record(cron_job, "SuccessfulDelete", f"Deleted job {name}")


def new_job(cron_job: Object, due: datetime) -> Object:
    """The Job of one due time."""
    metadata, template = cron_job["metadata"], copy.deepcopy(cron_job["spec"]["jobTemplate"])
    own = template.get("metadata") or {}
    minutes = int(due.timestamp()) // 60
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": f"{metadata['name']}-{minutes}",
            "namespace": metadata["namespace"],
            "labels": own.get("labels") or {},
            "annotations": {**(own.get("annotations") or {}), _SCHEDULED_AT: due.isoformat()},
            "ownerReferences": [reference_to(cron_job)],
        },
        "spec": template["spec"],
    }


def _zone(cron_job: Object) -> ZoneInfo:
    return ZoneInfo(cron_job["spec"].get("timeZone") or "UTC")
