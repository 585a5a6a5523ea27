"""What is changed below the policies: in the very configuration of chosen proxies?

Its words are the data plane's own; here they are carried, not understood.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from meshlab.mesh.service import Workload


class Direction(StrEnum):
    """Which requests a filter sees: those that come to the app, or those it makes."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Language(StrEnum):
    """What a filter is written in."""

    LUA = "lua"
    WASM = "wasm"


@dataclass(frozen=True, slots=True, order=True)
class Patch:
    """A JSON patch (RFC 6902) for every resource of a kind whose name fits a pattern."""

    kind: str
    """``Listener``, ``Route`` or ``Cluster``."""
    name: str
    """As in a shell: ``rds-inbound.*``."""
    operations: tuple[str, ...]
    """Each as JSON, so that equal patches are equal values."""


@dataclass(frozen=True, slots=True, order=True)
class Filter:
    """A small program that sees every HTTP request and response which passes in one direction."""

    name: str
    direction: Direction
    language: Language
    code: bytes
    configuration: str = ""
    """Given to a WebAssembly module when it starts."""
    fail_open: bool = False
    """Once a WebAssembly module has failed, requests pass as if it were not there; else they are refused."""


@dataclass(frozen=True, slots=True, order=True)
class Overlay:
    """Patches and filters for chosen proxies of one namespace, patches first."""

    namespace: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()
    """A pod's proxy is chosen if it has them all; without any, every proxy of the namespace is."""
    patches: tuple[Patch, ...] = ()
    filters: tuple[Filter, ...] = ()

    def concerns(self, workload: Workload) -> bool:
        """Whether a workload's proxy is chosen."""
        return workload.meshed and workload.namespace == self.namespace and set(self.labels) <= set(workload.labels)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
