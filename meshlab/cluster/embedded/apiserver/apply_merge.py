"""What does an object look like after a configuration is applied to it, and after fields are taken away?"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

from meshlab.cluster.embedded.apiserver.field_sets import Names, Path, Rules, item_rule, split
from meshlab.cluster.embedded.apiserver.merge_rules import GRANULAR, Rule


def merge(live: dict[str, Any], config: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """A copy of the live object in which everything the configuration says is so."""
    merged: dict[str, Any] = _merge(live, config, (), rules, GRANULAR)
    return merged


def _merge(live: Any, config: Any, names: Names, rules: Rules, how: Rule) -> Any:
    if isinstance(live, dict) and isinstance(config, dict) and how.kind != "atomic":
        merged = dict(live)
        for key, value in config.items():
            inner = (*names, key)
            merged[key] = _merge(live.get(key), value, inner, rules, rules(inner))
        return merged
    if isinstance(live, list) and isinstance(config, list):
        left, right = split(live, how), split(config, how)
        if left is not None and right is not None:
            return _merge_items(left, right, names, rules, how)
    return copy.deepcopy(config)


def _merge_items(left: dict[str, Any], right: dict[str, Any], names: Names, rules: Rules, how: Rule) -> list[Any]:
    """The items of both: in the configuration's order where it has one, else in the live object's."""
    inner = item_rule(how)
    live, wanted = list(left), list(right)
    shared = [step for step in wanted if step in left]
    merged: dict[str, Any] = {}
    while live or wanted:
        if live and wanted and live[0] != wanted[0] and live[0] in right and shared and shared[0] != live[0]:
            live.pop(0)  # its turn comes when the configuration's does
        elif live and live[0] not in right:
            step = live.pop(0)
            merged[step] = left[step]
        elif wanted:
            step = wanted.pop(0)
            merged[step] = _merge(left.get(step), right[step], names, rules, inner)
            if live and (live[0] == step or live[0] in merged):
                live.pop(0)
            if shared and shared[0] == step:
                shared.pop(0)
        else:
            live.pop(0)
    return list(merged.values())


def remove(obj: dict[str, Any], fields: Collection[Path], rules: Rules) -> dict[str, Any]:
    """A copy of the object without these fields; what is empty then becomes null, which defaulting drops."""
    touched = frozenset(path[:length] for path in fields for length in range(1, len(path) + 1))
    removed: dict[str, Any] = _remove(obj, frozenset(fields), touched, (), (), rules, GRANULAR)
    return removed


def _remove(
    value: Any, fields: frozenset[Path], touched: frozenset[Path], path: Path, names: Names, rules: Rules, how: Rule
) -> Any:
    if isinstance(value, dict) and how.kind != "atomic":
        parts = {f"f:{key}": item for key, item in value.items()}
    elif isinstance(value, list) and (items := split(value, how)) is not None:
        parts = items
    else:
        return value
    kept: dict[str, Any] = {}
    for step, item in parts.items():
        here = (*path, step)
        inner = (*names, step[2:]) if step.startswith("f:") else names
        if here not in touched:
            kept[step] = item
        elif here not in fields:
            rule = rules(inner) if step.startswith("f:") else item_rule(how)
            rest = _remove(item, fields, touched, here, inner, rules, rule)
            kept[step] = rest if rest not in ({}, []) else None
    return {step[2:]: item for step, item in kept.items()} if isinstance(value, dict) else list(kept.values())
