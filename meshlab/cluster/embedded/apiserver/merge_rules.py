"""How does Kubernetes merge the lists and maps of its built-in kinds?

By default a map merges key by key and a list is replaced whole. The exceptions are few; they are found by
the names of a field and its parent (list indices don't count), because pod specs occur in many places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field merges.

    `keys` tell the items of a `map` list apart in server-side apply, `patch_key` in a strategic merge patch (empty
    with `merge` for a list of plain values). `retain_keys` lets a patch name the keys that stay.
    `atomic_items` are list items owned as a whole.
    """

    kind: Literal["map", "set", "atomic", "granular"]
    keys: tuple[str, ...] = ()
    patch_key: str = ""
    merge: bool = False
    retain_keys: bool = False
    atomic_items: bool = False


ATOMIC = Rule("atomic")
GRANULAR = Rule("granular")


def _map(*keys: str, retain_keys: bool = False, atomic_items: bool = False) -> Rule:
    return Rule("map", keys, keys[0], merge=True, retain_keys=retain_keys, atomic_items=atomic_items)


_CONDITIONS = _map("type")
_CONTAINER = {
    "env": _map("name"),
    "ports": _map("containerPort", "protocol"),
    "volumeDevices": _map("devicePath"),
    "volumeMounts": _map("mountPath"),
}
_BY_PARENT: dict[tuple[str, str], Rule] = {
    ("metadata", "finalizers"): Rule("set", merge=True),
    ("metadata", "ownerReferences"): _map("uid", atomic_items=True),
    ("spec", "ports"): _map("port", "protocol"),
    ("service", "port"): ATOMIC,
    ("spec", "podCIDRs"): Rule("set", merge=True),
    ("spec", "resourceClaims"): _map("name", retain_keys=True),
    ("spec", "strategy"): Rule("granular", retain_keys=True),
    ("spec", "volumes"): _map("name", retain_keys=True),
    ("status", "addresses"): _map("type"),
    ("status", "hostIPs"): Rule("atomic", (), "ip", merge=True),
    ("status", "podIPs"): _map("ip"),
    ("endpoints", "addresses"): Rule("set"),
    ("resources", "claims"): Rule("map", ("name",)),
    ("", "secrets"): _map("name", atomic_items=True),
    ("", "imagePullSecrets"): Rule("atomic"),
    ("", "webhooks"): _map("name"),
    **{
        (parent, field): rule
        for parent in ("containers", "initContainers", "ephemeralContainers")
        for field, rule in _CONTAINER.items()
    },
}
_ANYWHERE: dict[str, Rule] = {
    "conditions": _CONDITIONS,
    "containers": _map("name"),
    "ephemeralContainers": _map("name"),
    "hostAliases": _map("ip"),
    "imagePullSecrets": _map("name", atomic_items=True),
    "initContainers": _map("name"),
    "matchConditions": _map("name"),
    "schedulingGates": _map("name"),
    "topologySpreadConstraints": _map("topologyKey", "whenUnsatisfiable"),
}
_ATOMIC_MAPS = frozenset({
    *("claimRef", "configMapKeyRef", "fieldRef", "involvedObject", "labelSelector", "namespaceSelector"),
    *("nodeSelector", "objectSelector", "podSelector", "resourceFieldRef", "roleRef", "scopeSelector", "secretKeyRef"),
    *("selector", "targetRef", "requiredDuringSchedulingIgnoredDuringExecution"),
})  # fmt: skip


def rule(path: Sequence[str]) -> Rule:
    """The rule of a field of a built-in kind; `path` holds field names only."""
    name, parent = path[-1], path[-2] if len(path) > 1 else ""
    found = _BY_PARENT.get((parent, name)) or _ANYWHERE.get(name)
    if found:
        return found
    return ATOMIC if name in _ATOMIC_MAPS and parent not in ("labels", "annotations", "data") else GRANULAR
