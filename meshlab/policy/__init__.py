"""HOW people say what they want: policy languages, read into the mesh's facts.

A language is a class that fits `PolicyLanguage`, registered under the entry point group ``meshlab.policy``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points

from meshlab.kube import Kind, Object
from meshlab.mesh.finding import Finding
from meshlab.policy.base import Facts, PolicyLanguage

__all__ = ["Facts", "PolicyLanguage", "crds", "kinds", "languages", "read", "validate"]


@cache
def languages() -> tuple[PolicyLanguage, ...]:
    """One of each installed language, in the order of their names."""
    found = sorted(entry_points(group="meshlab.policy"), key=lambda entry: entry.name)
    return tuple(entry.load()() for entry in found)


def kinds() -> tuple[Kind, ...]:
    """The kinds of all languages: what to watch."""
    return tuple(kind for language in languages() for kind in language.kinds)


def crds() -> list[Object]:
    """The CustomResourceDefinitions of all languages."""
    return [crd for language in languages() for crd in language.crds()]


def read(objects: Iterable[Object]) -> Facts:
    """What objects say in all languages together; Services and ServiceAccounts among them sharpen the findings."""
    shared = list(objects)
    parts = [language.read(shared) for language in languages()]
    return Facts(
        permissions=tuple(permission for part in parts for permission in part.permissions),
        splits=tuple(split for part in parts for split in part.splits),
        settings=next((part.settings for part in parts if part.settings), None),
        findings=tuple(finding for part in parts for finding in part.findings),
    )


def validate(obj: Object, others: Iterable[Object] = ()) -> list[Finding]:
    """What is wrong with one object, given the others that exist or will. Nothing for kinds no language knows."""
    shared = list(others)
    return [finding for language in languages() for finding in language.validate(obj, shared)]
