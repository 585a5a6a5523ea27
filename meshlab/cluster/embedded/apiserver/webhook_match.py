"""Which webhooks must be asked about a change, and in which version of the object?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from meshlab.cluster.embedded.apiserver.registry import Resource
from meshlab.cluster.embedded.apiserver.request import Attributes
from meshlab.kube import labels_of

Webhook = Mapping[str, Any]

_NEVER_ASKED = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


def matching_row(
    webhook: Webhook, attributes: Attributes, rows: Iterable[Resource], namespace_labels: Mapping[str, str] | None
) -> Resource | None:
    """The version of the kind in which a webhook wants to see the object, or None when it isn't concerned.

    That is the version of the request, or with matchPolicy Equivalent another one of the same stored objects.
    `namespace_labels` are None for cluster-wide objects, which every namespaceSelector lets through.
    """
    resource = attributes.resource
    if resource.plural in _NEVER_ASKED:
        return None
    others = (row for row in rows if row.storage == resource.storage and row is not resource)
    candidates: list[Resource] = [resource, *(others if webhook.get("matchPolicy") != "Exact" else ())]
    rules = webhook.get("rules") or []
    found = next((row for row in candidates if any(_rule_matches(rule, attributes, row) for rule in rules)), None)
    if found is None:
        return None
    if namespace_labels is not None and not selects(webhook.get("namespaceSelector"), namespace_labels):
        return None
    objects = [obj for obj in (attributes.obj, attributes.old) if obj]
    selector = webhook.get("objectSelector")
    if selector and not any(selects(selector, labels_of(obj)) for obj in objects):
        return None
    return found


def _rule_matches(rule: Mapping[str, Any], attributes: Attributes, row: Resource) -> bool:
    part = attributes.subresource
    names = {"*/*", f"{row.plural}/*", *((f"{row.plural}/{part}", f"*/{part}") if part else ("*", row.plural))}
    return (
        _any(rule.get("operations"), attributes.operation)
        and _any(rule.get("apiGroups"), row.group)
        and _any(rule.get("apiVersions"), row.version)
        and rule.get("scope", "*") in ("*", "Namespaced" if row.namespaced else "Cluster")
        and any(wanted in names for wanted in rule.get("resources") or [])
    )


def _any(wanted: Iterable[str] | None, value: str) -> bool:
    return any(item in ("*", value) for item in wanted or [])


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects labels. None and the empty one select everything."""
    selector = selector or {}
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    return all(_expression(expression, labels) for expression in selector.get("matchExpressions") or [])


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
    return key not in labels
