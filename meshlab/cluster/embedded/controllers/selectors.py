"""Does a selector match? Label selectors, and the node selectors of an affinity, which compare numbers too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector (matchLabels and matchExpressions) matches."""
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        holds(expression, labels) for expression in expressions
    )


def holds(rule: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Whether one expression (key, operator, values) is true of some labels."""
    key, wanted = rule["key"], rule.get("values") or []
    match rule["operator"]:
        case "In":
            return values.get(key) in wanted
        case "NotIn":
            return values.get(key) not in wanted
        case "Exists":
            return key in values
        case "DoesNotExist":
            return key not in values
        case "Gt":
            return key in values and int(values[key]) > int(wanted[0])
        case _:
            return key in values and int(values[key]) < int(wanted[0])
