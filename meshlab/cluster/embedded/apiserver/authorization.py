"""May this user do this? Roles, cluster roles and their bindings decide.

Nothing is denied explicitly: what no role allows is refused. `system:masters` may do everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from meshlab.cluster.embedded.apiserver.request import RequestInfo, User
from meshlab.kube import labels_of

Rule = Mapping[str, Any]
Lookup = Callable[[str], Iterable[Mapping[str, Any]]]
"""All objects of a collection of the store, by its name (`roles.rbac.authorization.k8s.io`)."""

MASTERS = "system:masters"
GROUP = "rbac.authorization.k8s.io"


def refuse(user: User, info: RequestInfo, lookup: Lookup) -> str | None:
    """None when a user may do this, else what there is to say about why not: often nothing."""
    if MASTERS in user.groups:
        return None
    missing: list[str] = []
    if any(allows(rule, info) for rule, _ in grants(user, info.namespace, lookup, missing)):
        return None
    return f"RBAC: {_joined(missing)}" if missing else ""


def allowed_by(user: User, info: RequestInfo, lookup: Lookup) -> str:
    """Which binding lets a user do this; empty when none has to."""
    if MASTERS in user.groups:
        return ""
    found = (why for rule, why in grants(user, info.namespace, lookup) if allows(rule, info))
    return next((f"RBAC: allowed by {why}" for why in found), "")


def grants(user: User, namespace: str, lookup: Lookup, missing: list[str] | None = None) -> Iterator[tuple[Rule, str]]:
    """Every rule that holds for a user in a namespace, and what gives it; roles that a binding names in vain go to
    `missing`.
    """
    cluster_roles = {role["metadata"]["name"]: role for role in lookup(f"clusterroles.{GROUP}")}
    roles = {_key(role): role for role in lookup(f"roles.{GROUP}")} if namespace else {}
    bindings = [*lookup(f"clusterrolebindings.{GROUP}")]
    if namespace:
        bindings += [b for b in lookup(f"rolebindings.{GROUP}") if b["metadata"].get("namespace") == namespace]
    for binding in bindings:
        where = binding["metadata"].get("namespace", "")
        subject = next((item for item in binding.get("subjects") or [] if _is_subject(item, user, where)), None)
        if subject is None:
            continue
        ref = binding["roleRef"]
        role = cluster_roles.get(ref["name"]) if ref["kind"] == "ClusterRole" else roles.get((where, ref["name"]))
        if role is not None:
            why = _said(binding, ref, subject, where)
            yield from ((rule, why) for rule in _rules(role, cluster_roles))
        elif missing is not None:
            missing.append(f'{ref["kind"].lower()}.{GROUP} "{ref["name"]}" not found')


def allows(rule: Rule, info: RequestInfo) -> bool:
    """Whether one rule allows a request."""
    if not _any(info.verb, rule.get("verbs")):
        return False
    if not info.is_resource:
        return any(_path_matches(info.path, pattern) for pattern in rule.get("nonResourceURLs") or [])
    names = rule.get("resourceNames") or []
    return (
        _any(info.group, rule.get("apiGroups"))
        and any(_resource_matches(info, wanted) for wanted in rule.get("resources") or [])
        and (not names or info.name in names)
    )


def _any(value: str, allowed: Iterable[str] | None) -> bool:
    return any(item in ("*", value) for item in allowed or [])


def _path_matches(path: str, pattern: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _resource_matches(info: RequestInfo, wanted: str) -> bool:
    full = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    return wanted in ("*", full) or (bool(info.subresource) and wanted == f"*/{info.subresource}")


def _is_subject(subject: Mapping[str, Any], user: User, namespace: str) -> bool:
    name: str = subject.get("name", "")
    match subject.get("kind"):
        case "User":
            return name == user.name
        case "Group":
            return name in user.groups
        case "ServiceAccount":
            return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{name}"
    return False


def _rules(role: Mapping[str, Any], cluster_roles: Mapping[str, Mapping[str, Any]]) -> Iterator[Rule]:
    """A role's own rules and, where it aggregates, those of the cluster roles it selects."""
    yield from role.get("rules") or []
    for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []:
        wanted = selector.get("matchLabels") or {}
        for other in cluster_roles.values():
            if other is not role and wanted and wanted.items() <= labels_of(other).items():
                yield from _rules(other, cluster_roles)


def _said(binding: Mapping[str, Any], ref: Mapping[str, Any], subject: Mapping[str, Any], where: str) -> str:
    """What a binding does, in a sentence."""
    own = f"{binding['metadata']['name']}/{where}" if where else binding["metadata"]["name"]
    kind, name = subject["kind"], subject["name"]
    name = f"{name}/{subject.get('namespace') or where}" if kind == "ServiceAccount" else name
    holder = "RoleBinding" if where else "ClusterRoleBinding"
    return f'{holder} "{own}" of {ref["kind"]} "{ref["name"]}" to {kind} "{name}"'


def _key(obj: Mapping[str, Any]) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _joined(missing: list[str]) -> str:
    distinct = list(dict.fromkeys(missing))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"
