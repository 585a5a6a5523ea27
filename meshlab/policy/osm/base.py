"""What must the module of one of OSM's kinds be able to do?"""

from __future__ import annotations

from typing import Protocol

from meshlab.kube import Kind, Object
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects
from meshlab.policy.report import Report


class KindModule(Protocol):
    """One kind, read and checked by itself; the module is its own implementation."""

    @property
    def KIND(self) -> Kind:  # noqa: N802  # a constant of the module
        """The kind it knows."""
        ...

    @property
    def CRD(self) -> str:  # noqa: N802
        """The file of its CustomResourceDefinition."""
        ...

    def validate(self, obj: Object, known: Objects, report: Report) -> None:
        """Report what is wrong with an object, given all that are known (itself among them)."""
        ...

    def read(self, obj: Object, known: Objects) -> Facts:
        """What an object says in which no error was found."""
        ...
