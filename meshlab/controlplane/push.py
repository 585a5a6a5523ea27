"""Which proxies must hear of this change, and what? World → view → snapshot, for those it concerns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter

from meshlab.controlplane import manners
from meshlab.controlplane.history import History
from meshlab.dataplane.base import Credentials, DataPlane
from meshlab.dataplane.raw import Overlaid
from meshlab.mesh.finding import Finding
from meshlab.mesh.identity import Identity
from meshlab.mesh.project import project
from meshlab.mesh.service import Workload
from meshlab.mesh.view import ProxyView
from meshlab.mesh.world import World
from meshlab.xds import AdsServer

log = logging.getLogger(__name__)


_PARTS = tuple(part.name for part in fields(ProxyView))
_parts_of = attrgetter(*_PARTS)


def _keeping(last: ProxyView, view: ProxyView) -> ProxyView:
    """The view, made of the very parts it had before where they are equal: nothing is compiled anew for these."""
    pairs = zip(_PARTS, _parts_of(last), _parts_of(view), strict=True)
    equal = {name: before for name, before, now in pairs if before is not now and before == now}
    return replace(view, **equal) if equal else view


def node_id(workload: Workload) -> str:
    """The name a proxy goes by: ``<pod>.<namespace>``."""
    return f"{workload.name}.{workload.namespace}"


@dataclass(frozen=True, slots=True)
class _Told:
    view: ProxyView
    credentials: Credentials


class Pusher:
    """Tells each proxy what the world means for it, and remembers what that was, so as to say nothing twice."""

    def __init__(self, ads: AdsServer, data_plane: DataPlane) -> None:
        self._ads = ads
        self._data_plane = data_plane
        self._told: dict[str, _Told] = {}
        self.history = History(ads.proxies)
        self.overlaid: dict[str, Overlaid] = {}
        """By node: what was laid over its resources last, if anything was to be."""
        self.findings: dict[str, Finding] = {}
        """By node: why a proxy keeps what it had."""

    def credentials(self, node: str) -> Credentials | None:
        """What a proxy has been told to show and to trust."""
        told = self._told.get(node)
        return told.credentials if told else None

    def all_findings(self) -> tuple[Finding, ...]:
        """Why proxies keep what they had, and which of them don't behave."""
        return (*self.findings.values(), *manners.findings(self._ads))

    def serve_at_most(self, proxies: int) -> None:
        """Turn further ones away once so many are connected; 0: serve any number."""
        self._ads.most = proxies

    def push(self, world: World, credentials: Callable[[Identity], Credentials]) -> Mapping[str, int]:
        """Set the snapshot of every proxy that the world now means something else for.

        The answer is the generation each of these has to reach. A proxy whose part can't be compiled keeps
        what it had, and the rest is not held up by it.
        """
        concerned: dict[str, int] = {}
        meshed = {node_id(workload): workload for workload in world.workloads if workload.meshed}
        for node in self._told.keys() - meshed.keys():
            del self._told[node]
            self.findings.pop(node, None)
            self.overlaid.pop(node, None)
            self.history.forget(node)
            self._ads.forget(node)
        for node, workload in meshed.items():
            try:
                generation = self._tell(node, world, workload, credentials)
            except Exception as error:
                log.exception("the configuration of proxy %s can't be made; it keeps what it has", node)
                self._find(node, f"{type(error).__name__}: {error}")
                continue
            if generation is not None:
                concerned[node] = generation
        return concerned

    def _tell(
        self, node: str, world: World, workload: Workload, credentials: Callable[[Identity], Credentials]
    ) -> int | None:
        """Set a proxy's snapshot; its generation, or None when there is nothing new to tell."""
        told, last = _Told(project(world, workload), credentials(workload.identity)), self._told.get(node)
        if last == told:
            return None
        view = told.view if last is None else _keeping(last.view, told.view)
        snapshot = self._data_plane.compile(view, told.credentials)
        laid = self._data_plane.raw.overlay(snapshot, view.overlays) if view.overlays else Overlaid(snapshot)
        if problems := snapshot.consistent():
            log.error("the configuration of proxy %s does not hold together; it keeps what it has", node)
            self._find(node, "; ".join(problems[:3]))
            return None
        self.findings.pop(node, None)
        self._told[node] = _Told(view, told.credentials)
        self._remember(node, laid)
        before, known = self._ads.proxies[node].generation, self._ads.snapshot(node)
        generation = self._ads.set_snapshot(node, laid.snapshot)
        if generation == before:
            return None
        self.history.note(node, generation, known, laid.snapshot)
        return generation

    def _remember(self, node: str, laid: Overlaid) -> None:
        if laid.changes or laid.misfits:
            self.overlaid[node] = laid
        else:
            self.overlaid.pop(node, None)

    def _find(self, node: str, what: str) -> None:
        self.findings[node] = Finding(
            code="ML351",
            about=f"proxy {node}",
            field="configuration",
            what=what,
            cure="it keeps its last good configuration; undo the change that this names, and report it",
        )
