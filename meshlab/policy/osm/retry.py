"""Retry: which calls that failed are made again?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from meshlab.kube import Object
from meshlab.kube.objects import RETRY
from meshlab.mesh.identity import Identity
from meshlab.mesh.retry import Retry, RetryPolicy
from meshlab.mesh.service import ServiceName
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, full_name, same
from meshlab.policy.osm import mesh_config
from meshlab.policy.osm.duration import check_duration, duration
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape

KIND = RETRY
CRD = "retry"

_CONDITIONS = frozenset(
    {
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "envoy-ratelimited",
        "retriable-4xx",
        "refused-stream",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    }
)


def read(obj: Object, known: Objects) -> Facts:
    """Who tries again, where, and how; nothing where MeshConfig has switched retries off."""
    if not mesh_config.settings_in(known).retries:
        return Facts()
    spec = obj["spec"]
    retry = Retry(
        name=full_name(obj),
        source=Identity(spec["source"]["namespace"], spec["source"]["name"]),
        destinations=tuple(ServiceName(item["namespace"], item["name"]) for item in spec["destinations"]),
        policy=_policy(spec["retryPolicy"]),
    )
    return Facts(retries=(retry,))


def validate(obj: Object, known: Objects, report: Report) -> None:
    """Client and Services are named as such, no other Retry speaks of the same calls, and the policy is understood."""
    if not check_shape(obj, CRD, report):
        return
    if not mesh_config.settings_in(known).retries:
        what = "MeshConfig says enableRetryPolicy: false, so nothing is tried again"
        report.warning("ML323", "spec", what, f"remove the flag from MeshConfig {mesh_config.NAME}")
    spec = obj["spec"]
    source = spec["source"]
    if source["kind"] != "ServiceAccount":
        cure = "write ServiceAccount: the account the pods run as"
        report.error("ML223", "spec.source.kind", f"{source['kind']!r} is no kind of identity", cure)
    elif known.lacks("ServiceAccount", source["namespace"], source["name"]):
        what = f"there is no ServiceAccount {source['name']!r} in namespace {source['namespace']}"
        report.warning("ML225", "spec.source.name", what, f"kubectl get serviceaccounts -n {source['namespace']}")
    for index, item in enumerate(spec["destinations"]):
        _check_destination(obj, item, f"spec.destinations[{index}]", known, report)
    _check_policy(spec["retryPolicy"], report)


def _policy(policy: dict[str, Any]) -> RetryPolicy:
    default = RetryPolicy(())
    return RetryPolicy(
        on=_conditions(policy),
        attempts=policy.get("numRetries", default.attempts),
        per_try_timeout=duration(policy.get("perTryTimeout", "")) or default.per_try_timeout,
        base_interval=duration(policy.get("retryBackoffBaseInterval", "")) or default.base_interval,
    )


def _conditions(policy: dict[str, Any]) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in policy["retryOn"].split(","))))


def _check_destination(obj: Object, item: dict[str, Any], field: str, known: Objects, report: Report) -> None:
    name, namespace = item["name"], item["namespace"]
    if item["kind"] != "Service":
        report.error("ML321", f"{field}.kind", f"{item['kind']!r} can't be called", "write Service")
    elif known.lacks("Service", namespace, name):
        what = f"there is no Service {name!r} in namespace {namespace}"
        report.warning("ML312", f"{field}.name", what, f"kubectl get services -n {namespace}")
    first = known.claimed(KIND.kind, _claims).get((_source(obj), namespace, name))
    if first is not None and not same(first, obj):
        what = f"Retry {full_name(first)} already speaks of these clients' calls to {namespace}/{name}"
        report.error("ML322", field, what, "edit that one")


def _check_policy(policy: dict[str, Any], report: Report) -> None:
    conditions = _conditions(policy)
    for condition in conditions:
        if condition not in _CONDITIONS:
            what = f"{condition!r} is no kind of failure that proxies know"
            report.error("ML320", "spec.retryPolicy.retryOn", what, f"write one of: {', '.join(sorted(_CONDITIONS))}")
    if not conditions:
        report.error("ML320", "spec.retryPolicy.retryOn", "no failure is named", "write 5xx, perhaps")
    check_duration(policy, "perTryTimeout", "spec.retryPolicy", report)
    check_duration(policy, "retryBackoffBaseInterval", "spec.retryPolicy", report, least=timedelta(milliseconds=1))


def _source(obj: Object) -> tuple[str, str]:
    source = obj["spec"]["source"]
    return str(source["namespace"]), str(source["name"])


def _claims(obj: Object) -> list[tuple[tuple[str, str], str, str]]:
    """Whose calls to which Services."""
    try:
        return [(_source(obj), str(item["namespace"]), str(item["name"])) for item in obj["spec"]["destinations"]]
    except (KeyError, TypeError):
        return []
