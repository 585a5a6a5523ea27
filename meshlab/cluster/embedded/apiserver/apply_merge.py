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
    """The configuration's items in its order; the live object's other items keep their places among them."""
    own = list(left)
    merged: list[Any] = []
    position = 0
    for step, item in right.items():
        while position < len(own) and own[position] not in right:
            merged.append(left[own[position]])
            position += 1
        merged.append(_merge(left.get(step), item, names, rules, item_rule(how)))
        position += position < len(own)
    merged += [left[step] for step in own[position:] if step not in right]
    return merged


def remove(obj: dict[str, Any], fields: Collection[Path], rules: Rules) -> dict[str, Any]:
    """A copy of the object without these fields."""
    removed: dict[str, Any] = _remove(obj, frozenset(fields), (), (), rules, GRANULAR)
    return removed


def _remove(value: Any, fields: frozenset[Path], path: Path, names: Names, rules: Rules, how: Rule) -> Any:
    if isinstance(value, dict) and how.kind != "atomic":
        kept = {}
        for key, item in value.items():
            step, inner = (*path, f"f:{key}"), (*names, key)
            if step not in fields:
                kept[key] = _remove(item, fields, step, inner, rules, rules(inner))
        return kept
    if isinstance(value, list) and (items := split(value, how)) is not None:
        return [
            _remove(item, fields, (*path, step), names, rules, item_rule(how))
            for step, item in items.items()
            if (*path, step) not in fields
        ]
    return value
