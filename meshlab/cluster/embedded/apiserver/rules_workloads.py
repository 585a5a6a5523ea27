"""Which rules do Deployments, ReplicaSets, StatefulSets and DaemonSets break?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.rules_pods import pod_spec_rules
from meshlab.cluster.embedded.apiserver.selectors import selector_matches
from meshlab.cluster.embedded.apiserver.status import Cause

Object = dict[str, Any]

_SELECTING = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_NUMBERS = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
_MAY_CHANGE = (
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)


def workload_rules(storage: str, obj: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with an object that makes pods."""
    spec = obj.get("spec") or {}
    if storage in _SELECTING:
        yield from _numbers(spec, _NUMBERS)
        yield from _selector(spec, old)
        yield from _template(spec, ("Always",))
        if storage == "deployments.apps":
            yield from _strategy(spec.get("strategy") or {})
        elif storage == "statefulsets.apps":
            yield from _stateful_set(spec, old)


def _numbers(spec: Object, fields: tuple[str, ...]) -> Iterator[Cause]:
    for field in fields:
        if (spec.get(field) or 0) < 0:
            yield status.invalid_value(f"spec.{field}", spec[field], "must be greater than or equal to 0")


def _selector(spec: Object, old: Object | None) -> Iterator[Cause]:
    selector = spec.get("selector")
    if selector is None:
        yield status.required("spec.selector")
    elif wrong := [row for row in selector.get("matchExpressions") or () if row.get("operator") not in _OPERATORS]:
        index = selector["matchExpressions"].index(wrong[0])
        where = f"spec.selector.matchExpressions[{index}].operator"
        yield status.invalid_value(where, wrong[0].get("operator"), "not a valid selector operator")
        yield status.invalid_value("spec.selector", selector, "invalid label selector")
        return
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield status.invalid_value("spec.selector", selector, "empty selector is invalid for deployment")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not selector_matches(selector, labels):
        detail = "`selector` does not match template `labels`"
        yield status.invalid_value("spec.template.metadata.labels", labels or None, detail)
    if old is not None and selector != (old.get("spec") or {}).get("selector"):
        yield status.invalid_value("spec.selector", selector, "field is immutable")


def _template(spec: Object, restarts: tuple[str, ...]) -> Iterator[Cause]:
    pod = (spec.get("template") or {}).get("spec") or {}
    yield from pod_spec_rules(pod, "spec.template.spec")
    if pod.get("restartPolicy") not in (None, *restarts):
        yield status.unsupported_value("spec.template.spec.restartPolicy", pod.get("restartPolicy"), restarts)


def _stateful_set(spec: Object, old: Object | None) -> Iterator[Cause]:
    if spec.get("podManagementPolicy") not in ("OrderedReady", "Parallel"):
        detail = "must be 'OrderedReady' or 'Parallel'"
        yield status.invalid_value("spec.podManagementPolicy", spec.get("podManagementPolicy"), detail)
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") not in ("RollingUpdate", "OnDelete"):
        yield status.invalid_value("spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'")
    if spec.get("volumeClaimTemplates"):
        detail = "the embedded cluster has no volumes that outlive a pod; kind has"
        yield status.forbidden_field("spec.volumeClaimTemplates", detail)
    if old is not None and _rest(spec) != _rest(old.get("spec") or {}):
        *most, last = (f"'{field}'" for field in _MAY_CHANGE)
        fields = f"{', '.join(most)} and {last}"
        detail = f"updates to statefulset spec for fields other than {fields} are forbidden"
        yield status.forbidden_field("spec", detail)


def _rest(spec: Object) -> Object:
    return {field: value for field, value in spec.items() if field not in _MAY_CHANGE}


def _strategy(strategy: Object) -> Iterator[Cause]:
    kind = strategy.get("type")
    if kind not in ("Recreate", "RollingUpdate"):
        yield status.unsupported_value("spec.strategy", strategy, ("Recreate", "RollingUpdate"))
    elif kind == "Recreate" and strategy.get("rollingUpdate") is not None:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        yield status.forbidden_field("spec.strategy.rollingUpdate", detail)
    elif kind == "RollingUpdate" and not any(_is_some((strategy.get("rollingUpdate") or {}).get(k)) for k in _LIMITS):
        detail = "may not be 0 when `maxSurge` is 0"
        yield status.invalid_value("spec.strategy.rollingUpdate.maxUnavailable", 0, detail)


_LIMITS = ("maxUnavailable", "maxSurge")


def _is_some(limit: Any) -> bool:
    return limit not in (0, "0%", "0", None)
