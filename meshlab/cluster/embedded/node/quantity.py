"""How much is `500m`, `64Mi`, `2`?"""

from __future__ import annotations

import math
from fractions import Fraction

_UNITS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


def parse(text: str | float) -> Fraction:
    """The number a quantity stands for."""
    text = str(text)
    for unit in sorted(_UNITS, key=len, reverse=True):
        if text.endswith(unit):
            return Fraction(text.removesuffix(unit)) * _UNITS[unit]
    return Fraction(text)


def in_units(text: str | float, divisor: str | float) -> int:
    """A quantity as a whole number of `divisor`, rounded up."""
    return math.ceil(parse(text) / (parse(divisor) or 1))
