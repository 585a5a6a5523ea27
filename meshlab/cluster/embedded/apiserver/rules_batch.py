"""Which rules do Jobs and CronJobs break?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.rules_pods import pod_spec_rules
from meshlab.cluster.embedded.apiserver.status import Cause
from meshlab.cluster.embedded.apiserver.words import broken_label
from meshlab.cluster.embedded.cron import Schedule, ScheduleError

Object = dict[str, Any]

_NUMBERS = ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished")
_FIXED = ("selector", "completionMode", "manualSelector")
_RESTARTS = ("OnFailure", "Never")
_NOT_HERE = ("podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "maxFailedIndexes")
_POLICIES = ("Allow", "Forbid", "Replace")
_LIMITS = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
_LONGEST_NAME = 52
"""Eleven letters fewer than a label may have: a Job's name gets the time appended."""


def batch_rules(storage: str, obj: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with a Job or CronJob."""
    spec = obj.get("spec") or {}
    if storage == "jobs.batch":
        yield from _job(spec, "spec")
        name = obj["metadata"].get("name") or ""
        if old is None and spec.get("completionMode") == "Indexed" and (problem := broken_label(f"{name}-0")):
            yield status.invalid_value("metadata.name", name, problem)
        if old is not None:
            yield from _job_change(spec, old)
    elif storage == "cronjobs.batch":
        if len(obj["metadata"].get("name") or "") > _LONGEST_NAME:
            detail = "must be no more than 52 characters"
            yield status.invalid_value("metadata.name", obj["metadata"]["name"], detail)
        yield from _cron_job(spec)


def _job(spec: Object, where: str) -> Iterator[Cause]:
    yield from _not_negative(spec, where, _NUMBERS)
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield status.required(f"{where}.completions", "when completion mode is Indexed")
    for field in _NOT_HERE:
        if spec.get(field) is not None:
            yield status.forbidden_field(f"{where}.{field}", "the embedded cluster does not have it; kind has")
    pod = (spec.get("template") or {}).get("spec") or {}
    yield from pod_spec_rules(pod, f"{where}.template.spec")
    if pod.get("restartPolicy") == "Always":
        yield status.required(f"{where}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif pod.get("restartPolicy") not in _RESTARTS:
        policy = pod.get("restartPolicy")
        yield status.unsupported_value(f"{where}.template.spec.restartPolicy", policy, _RESTARTS)


def _job_change(spec: Object, old: Object) -> Iterator[Cause]:
    before = old.get("spec") or {}
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    in_tandem = spec.get("completionMode") == "Indexed" and completions == parallelism
    if completions != before.get("completions") and not in_tandem:
        detail = "can only be modified in tandem with spec.parallelism"
        indexed = spec.get("completionMode") == "Indexed"
        yield status.invalid_value("spec.completions", completions, detail if indexed else "field is immutable")
    for field in _FIXED:
        if spec.get(field) != before.get(field):
            yield status.invalid_value(f"spec.{field}", spec.get(field), "field is immutable")
    waits = before.get("suspend") and not (old.get("status") or {}).get("startTime")
    if spec.get("template") != before.get("template") and not waits:
        yield status.invalid_value("spec.template", spec.get("template"), "field is immutable")


def _cron_job(spec: Object) -> Iterator[Cause]:
    if not spec.get("schedule"):
        yield status.required("spec.schedule")
    else:
        try:
            Schedule.parse(spec["schedule"])
        except ScheduleError as error:
            yield status.invalid_value("spec.schedule", spec["schedule"], str(error))
    yield from _not_negative(spec, "spec", _LIMITS)
    if (zone := spec.get("timeZone")) is not None:
        yield from _time_zone(zone)
    if spec.get("concurrencyPolicy") not in _POLICIES:
        yield status.unsupported_value("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), _POLICIES)
    yield from _job((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")


def _time_zone(zone: str) -> Iterator[Cause]:
    if not zone:
        yield status.invalid_value("spec.timeZone", zone, "timeZone must be nil or non-empty string")
        return
    if zone.lower() == "local":
        detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield status.invalid_value("spec.timeZone", zone, detail)
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield status.invalid_value("spec.timeZone", zone, f"unknown time zone {zone}")


def _not_negative(spec: Object, where: str, fields: tuple[str, ...]) -> Iterator[Cause]:
    for field in fields:
        if (spec.get(field) or 0) < 0:
            yield status.invalid_value(f"{where}.{field}", spec[field], "must be greater than or equal to 0")
