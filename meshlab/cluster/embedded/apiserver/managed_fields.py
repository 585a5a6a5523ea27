"""Who set which field of an object?

Every create, update and patch notes the fields it changed for its manager; server-side apply notes every
field its configuration speaks of, refuses to change what another manager owns, and removes what it applied
before and speaks of no more, unless somebody else owns it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.apply_merge import merge, remove
from meshlab.cluster.embedded.apiserver.field_sets import (
    FieldSet,
    Names,
    Path,
    Rules,
    compare,
    field_set,
    from_fields_v1,
    show,
    to_fields_v1,
    with_parents,
)
from meshlab.cluster.embedded.apiserver.merge_rules import Rule, rule
from meshlab.cluster.embedded.apiserver.metadata import now
from meshlab.cluster.embedded.apiserver.registry import Resource

Object = dict[str, Any]
Entry = dict[str, Any]
ListType = Callable[[Resource, Names], tuple[str, tuple[str, ...]]]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SYSTEM_METADATA = (
    *("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"),
    *("deletionTimestamp", "deletionGracePeriodSeconds"),
)
_SYSTEM: frozenset[Path] = frozenset({
    *[("f:apiVersion",), ("f:kind",), ("f:metadata",)],
    *[("f:metadata", f"f:{name}") for name in _SYSTEM_METADATA],
})  # fmt: skip
_EMPTY_EVENT: Object = {"source": {}, "eventTime": None, "reportingComponent": "", "reportingInstance": ""}
_WORKLOADS = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps")


def rules_of(resource: Resource, list_type: ListType) -> Rules:
    """How the fields of a kind merge: by the built-in table, or by a custom kind's schema."""
    if not resource.custom:
        return rule

    def custom(names: Names) -> Rule:
        if names[0] == "metadata":
            return rule(names)
        kind, keys = list_type(resource, names)
        return Rule(kind, keys)  # type: ignore[arg-type]

    return custom


class Managers:
    """Notes what a create, an update or a patch changes."""

    def __init__(self, resource: Resource, rules: Rules, manager: str, subresource: str = "") -> None:
        self._resource = resource
        self._rules = rules
        self._subresource = subresource
        self._entry = _entry(manager, "Update", resource.api_version, subresource)

    def record(self, obj: Object, old: Object | None) -> None:
        """Note in the object which fields differ from the old one, and take them from their former managers.

        An object without managers stays so until somebody applies.
        """
        before = (old or {}).get("metadata", {}).get("managedFields") or []
        given = obj["metadata"].get("managedFields")
        entries = [] if given == [{}] else given if given and not self._subresource else before
        if old is not None and not entries:
            obj["metadata"].pop("managedFields", None)
            return
        base = {**_empty(self._resource), **(old or {})}
        removed, changed = compare(base, obj, self._rules)
        changed = _relevant(self._resource, self._subresource, changed)
        kept = _without(entries, removed | changed)
        mine = next((entry for entry in kept if _same_manager(entry, self._entry)), None)
        if changed:
            fields = changed | frozenset(_fields_of(mine) if mine else ())
            kept = [entry for entry in kept if entry is not mine] + [_with_fields(self._entry, fields)]
        obj["metadata"]["managedFields"] = _in_order(kept)


class ApplyManagers:
    """Applies a configuration for one manager."""

    def __init__(
        self, resource: Resource, rules: Rules, manager: str, config: Object, *, force: bool, subresource: str = ""
    ) -> None:
        self._resource = resource
        self._rules = rules
        self._force = force
        self._subresource = subresource
        self._config = config
        self._entry = _entry(manager, "Apply", resource.api_version, subresource)

    def create(self) -> Object:
        """A new object from the configuration."""
        return self.apply({"apiVersion": self._config["apiVersion"], "kind": self._config["kind"], "metadata": {}})

    def apply(self, live: Object) -> Object:
        """The object after the configuration is applied. Raises 409 with every conflict named."""
        given = self._config["metadata"].get("managedFields")
        if given:
            raise status.bad_request("metadata.managedFields must be nil")
        entries = live["metadata"].get("managedFields") or self._before_first_apply(live)
        mine = next((entry for entry in entries if _same_manager(entry, self._entry)), None)
        others = [entry for entry in entries if entry is not mine]
        fields = _relevant(self._resource, self._subresource, field_set(self._config, self._rules))
        merged = merge(live, self._config, self._rules)
        if mine:
            merged = self._prune(merged, _fields_of(mine), fields, others)
        removed, changed = compare(live, merged, self._rules)
        changed = _relevant(self._resource, self._subresource, changed)
        self._require_no_conflict(live, others, changed)
        others = _without(others, removed | changed)
        applied = _with_fields(self._entry, fields)
        if not removed and not changed:
            applied = _at_time(applied, mine)
        merged["metadata"]["managedFields"] = _in_order([*others, *([applied] if fields else [])])
        self._follow_last_applied(live, merged)
        return merged

    def record(self, obj: Object, old: Object | None) -> None:
        """Nothing more to note: `apply` has noted it, and defaults belong to nobody."""

    def _before_first_apply(self, live: Object) -> list[Entry]:
        """An object that nobody's managers were noted of gets one that stands for them all."""
        if "uid" not in live["metadata"]:
            return []
        entry = _entry("before-first-apply", "Update", self._resource.api_version, "")
        _, changed = compare(_empty(self._resource), live, self._rules)
        fields = _relevant(self._resource, "", changed)
        return [_with_fields(entry, fields)] if fields else []

    def _prune(self, merged: Object, last: FieldSet, fields: FieldSet, others: list[Entry]) -> Object:
        owned = with_parents([*fields, *(path for entry in others for path in _fields_of(entry))])
        leaving = with_parents(last) - owned - _SYSTEM
        return remove(merged, leaving, self._rules)

    def _require_no_conflict(self, live: Object, others: list[Entry], changed: FieldSet) -> None:
        found = [(entry, path) for entry in others for path in sorted(_fields_of(entry) & changed)]
        if self._entry["manager"] == "kubectl":
            mine = _last_applied(live, self._rules)
            found = [(entry, path) for entry, path in found if path not in mine]
        if found and not self._force:
            raise _conflict(found)

    def _follow_last_applied(self, live: Object, merged: Object) -> None:
        """Kubectl's own annotation stays true when kubectl goes over to server-side apply."""
        if self._entry["manager"] != "kubectl" or LAST_APPLIED not in (live["metadata"].get("annotations") or {}):
            return
        text = json.dumps(self._config, separators=(",", ":"), ensure_ascii=False) + "\n"
        merged["metadata"]["annotations"] = {**merged["metadata"].get("annotations", {}), LAST_APPLIED: text}


def _entry(manager: str, operation: str, api_version: str, subresource: str) -> Entry:
    entry = {"manager": manager, "operation": operation, "apiVersion": api_version}
    return {**entry, "subresource": subresource} if subresource else entry


def _same_manager(entry: Entry, other: Entry) -> bool:
    keys = ["manager", "operation", "subresource"]
    if other["operation"] == "Update":
        keys.append("apiVersion")
    return all(entry.get(key) == other.get(key) for key in keys)


def _with_fields(entry: Entry, fields: Iterable[Path]) -> Entry:
    subresource = {"subresource": entry["subresource"]} if "subresource" in entry else {}
    head = {key: entry[key] for key in ("manager", "operation", "apiVersion")}
    return {**head, "time": now(), "fieldsType": "FieldsV1", "fieldsV1": to_fields_v1(frozenset(fields)), **subresource}


def _at_time(entry: Entry, before: Entry | None) -> Entry:
    """An entry that changes nothing but who owns what keeps its time; a new one has none."""
    time = (before or {}).get("time")
    return {key: time if key == "time" else value for key, value in entry.items() if key != "time" or time}


def _fields_of(entry: Entry) -> FieldSet:
    return frozenset(from_fields_v1(entry.get("fieldsV1") or {}))


def _without(entries: list[Entry], fields: FieldSet) -> list[Entry]:
    """The entries without these fields; an entry that is left with none is dropped."""
    kept = []
    for entry in entries:
        own = _fields_of(entry)
        rest = own - fields
        if rest == own:
            kept.append(entry)
        elif rest:
            kept.append({**entry, "fieldsV1": to_fields_v1(rest)})
    return kept


def _in_order(entries: list[Entry]) -> list[Entry]:
    keys = ("operation", "time", "manager", "apiVersion", "subresource")
    return sorted(entries, key=lambda entry: tuple(str(entry.get(key, "")) for key in keys))


def _relevant(resource: Resource, subresource: str, fields: FieldSet) -> FieldSet:
    """The fields that count: not the server's own, and only the half that was addressed."""
    if subresource == "status":
        halves = ("f:status",) if resource.custom else ("f:status", "f:metadata")
        return frozenset(path for path in fields - _SYSTEM if path[0] in halves)
    if subresource == "scale":
        return fields - _SYSTEM
    aside = "f:status" if resource.status_subresource else ""
    return frozenset(path for path in fields - _SYSTEM if path[0] != aside)


def _empty(resource: Resource) -> Object:
    """The object a built-in kind is before anything is set: what it has then is nobody's."""
    if resource.custom:
        return {}
    template: Object = {"metadata": {}, "spec": {"containers": None}}
    workload: Object = {"selector": None, "strategy": {}, "updateStrategy": {}, "template": template}
    specs: dict[str, Object] = {
        "persistentvolumeclaims": {"resources": {}},
        "networkpolicies.networking.k8s.io": {"podSelector": {}},
        "horizontalpodautoscalers.autoscaling": {"scaleTargetRef": {"kind": "", "name": ""}},
        "customresourcedefinitions.apiextensions.k8s.io": {"names": {}},
        "pods": {"containers": None},
        "jobs.batch": {"template": template},
        "cronjobs.batch": {"schedule": None, "jobTemplate": {"metadata": {}, "spec": {"template": template}}},
        **dict.fromkeys(_WORKLOADS, workload),
        "statefulsets.apps": {**workload, "serviceName": ""},
    }
    spec = specs.get(resource.storage, {})
    others: dict[str, Object] = {"podtemplates": {"template": template}, "events": _EMPTY_EVENT}
    return {"metadata": {}, "spec": spec, "status": {}, **others.get(resource.storage, {})}


def _last_applied(live: Object, rules: Rules) -> FieldSet:
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        applied = json.loads(text) if text else {}
    except ValueError:
        applied = {}
    return field_set(applied, rules) if isinstance(applied, dict) else frozenset()


def _conflict(found: list[tuple[Entry, Path]]) -> status.StatusError:
    count = f"{len(found)} conflict" + ("s" if len(found) > 1 else "")
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {_who(entry)}", "field": show(path)}
        for entry, path in found
    ]
    said = (
        f"conflict with {_who(found[0][0])}: {show(found[0][1])}" if len(found) == 1 else "\n".join(_by_manager(found))
    )
    return status.StatusError(409, "Conflict", f"Apply failed with {count}: {said}", {"causes": causes})


def _by_manager(found: list[tuple[Entry, Path]]) -> Iterator[str]:
    managers: dict[str, list[str]] = {}
    for entry, path in found:
        managers.setdefault(_who(entry), []).append(show(path))
    for manager in sorted(managers):
        yield f"conflicts with {manager}:"
        yield from (f"- {path}" for path in managers[manager])


def _who(entry: Entry) -> str:
    subresource = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    version = f" using {entry.get('apiVersion')}" if entry.get("operation") == "Update" else ""
    return f'"{entry.get("manager")}"{subresource}{version}'
