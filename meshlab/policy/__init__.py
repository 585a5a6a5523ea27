"""HOW people say what they want: policy languages, read into the mesh's facts.

A language is a class that fits `PolicyLanguage`, registered under the entry point group ``meshlab.policy``.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from meshlab.policy.base import Facts, PolicyLanguage

__all__ = ["Facts", "PolicyLanguage", "languages"]


@cache
def languages() -> tuple[PolicyLanguage, ...]:
    """One of each installed language, in the order of their names."""
    found = sorted(entry_points(group="meshlab.policy"), key=lambda entry: entry.name)
    return tuple(entry.load()() for entry in found)
