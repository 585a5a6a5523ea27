"""What lies below the policies? A proxy's very resources: to be looked at, changed by overlays, and tried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from meshlab.mesh.exchange import Exchange
from meshlab.mesh.overlay import Overlay

if TYPE_CHECKING:
    from meshlab.xds import Resource, Snapshot


@dataclass(frozen=True, slots=True, order=True)
class Misfit:
    """Why an overlay can't be laid over a proxy's resources; it is left out there as a whole."""

    overlay: Overlay
    field: str
    """Of the ProxyOverlay: ``spec.patches[0].operations[1]``."""
    what: str
    cure: str


@dataclass(frozen=True, slots=True)
class Change:
    """One resource, before and after an overlay. Without `before` it is new."""

    overlay: Overlay
    before: Resource | None
    after: Resource


@dataclass(frozen=True, slots=True)
class Overlaid:
    """A snapshot with overlays laid over it, and what that came to."""

    snapshot: Snapshot
    changes: tuple[Change, ...] = ()
    misfits: tuple[Misfit, ...] = ()


class RawAccess(Protocol):
    """A data plane's own words, for those who know them."""

    def overlay(self, snapshot: Snapshot, overlays: Sequence[Overlay]) -> Overlaid:
        """Lay overlays over a snapshot, one after the other."""
        ...

    async def examine(self, resources: Sequence[Resource]) -> str:
        """Why a proxy of this kind would refuse the resources, in its own words; empty if it would take them.

        No proxy that carries traffic is asked.
        """
        ...

    def plain(self, reason: str) -> str:
        """Why a proxy refused, for people: without the resource that its answer may repeat."""
        ...

    def kind(self, resource: Resource) -> str:
        """What kind of thing a resource is; what a patch calls it, if it is one that can be patched."""
        ...

    def show(self, resource: Resource) -> dict[str, Any]:
        """A resource as plain data, for people: what is secret in it is left out."""
        ...

    def blames_filter(self, exchange: Exchange) -> bool:
        """Whether a request was answered because a filter had failed."""
        ...
