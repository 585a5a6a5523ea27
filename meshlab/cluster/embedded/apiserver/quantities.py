"""How does Kubernetes write an amount: `0.5` as `500m`, `1024Mi` as `1Gi`?"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any

PATTERN = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]?|[KMGTPE]i|[eE][+-]?\d+)")
_DECIMAL = {suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate(["n", "u", "m", "", *"kMGTPE"], -3)}
_BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
_MAPS = frozenset({
    *("allocatable", "capacity", "default", "defaultRequest", "hard", "limits", "max", "maxLimitRequestRatio", "min"),
    *("overhead", "podFixed", "requests", "used", "allocatedResources"),
})  # fmt: skip
_SINGLE = frozenset({"sizeLimit", "divisor", "averageValue"})
_KILO = 1024


def amount(text: Any) -> Decimal | None:
    """The number that a quantity stands for; None when it is no quantity."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        return None
    number, suffix = Decimal(found[1]), found[2]
    if suffix[:1] in ("e", "E") and suffix[1:]:
        return number.scaleb(int(suffix[1:]))
    return number * (_BINARY.get(suffix) or _DECIMAL[suffix])


def canonical(text: Any) -> Any:
    """A quantity in the one form Kubernetes keeps; what is no quantity stays."""
    value = amount(text)
    if value is None:
        return text
    suffix = _QUANTITY.fullmatch(str(text))
    written = suffix[2] if suffix else ""
    if written[:1] in ("e", "E") and written[1:]:
        return _with_exponent(value)
    if written in _BINARY and abs(value) >= _KILO:
        return _scaled(value.to_integral_value(ROUND_CEILING), {"": Decimal(1), **_BINARY})
    return _scaled(value, _DECIMAL)


def _scaled(value: Decimal, units: dict[str, Decimal]) -> str:
    """With the largest suffix that leaves a whole number."""
    if not value:
        return "0"
    for suffix, unit in sorted(units.items(), key=lambda item: -item[1]):
        if value % unit == 0:
            return f"{int(value / unit)}{suffix}"
    return f"{int((value / _DECIMAL['n']).to_integral_value(ROUND_CEILING))}n"


def _with_exponent(value: Decimal) -> str:
    if not value:
        return "0"
    exponent = 0
    while value % 1000 == 0:
        value, exponent = value / 1000, exponent + 3
    return f"{int(value)}e{exponent}" if exponent else str(int(value))


def canonicalize(value: Any) -> None:
    """Bring every quantity within a built-in kind's spec or status into that form, in place."""
    if isinstance(value, list):
        for item in value:
            canonicalize(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _MAPS and isinstance(item, dict):
                for name, quantity in item.items():
                    item[name] = canonical(quantity) if isinstance(quantity, (str, int, float)) else quantity
            elif key in _SINGLE and isinstance(item, (str, int, float)):
                value[key] = canonical(item)
            else:
                canonicalize(item)
