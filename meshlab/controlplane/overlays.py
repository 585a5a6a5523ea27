"""Which overlays are laid over the proxies now? Those that were tried out and not refused; else the last good ones.

A new overlay is tried out on a proxy that carries no traffic, while everything else goes on: what would not start
is never sent. What a proxy refuses all the same is withdrawn from all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from meshlab.controlplane.reader import Seen, Store
from meshlab.dataplane.raw import Change, Overlaid, RawAccess
from meshlab.kube.objects import CONFIG_MAP, PROXY_OVERLAY
from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.finding import Finding, Severity
from meshlab.mesh.overlay import Direction, Language, Overlay
from meshlab.mesh.service import Workload
from meshlab.mesh.world import World
from meshlab.xds import ProxyStatus, Resource, Snapshot

log = logging.getLogger(__name__)

_MOST_TRIALS = 8
"""Of one overlay, each on another Deployment's proxy."""

_MOST_EXAMINED = 64

Base = Callable[[World, Workload], Snapshot]
"""A workload's snapshot without any overlay."""


@dataclass(frozen=True, slots=True)
class Laid:
    """How things stand with one ProxyOverlay."""

    wanted: Overlay | None
    """None: what is written can't be read."""
    in_force: Overlay | None
    refusal: Finding | None
    """Why the wanted one is not in force."""
    undecided: bool


class OverlayKeeper:
    """Remembers what became of each overlay. Belongs to the control plane's event loop."""

    def __init__(
        self, raw: RawAccess, base: Base, objects: Store, overlaid: Mapping[str, Overlaid], wake: Callable[[], None]
    ) -> None:
        self._raw = raw
        self._base = base
        self._objects = objects
        self._wake = wake
        self.overlaid = overlaid
        self._began = False
        self._world = World()
        self._wanted: dict[str, Overlay] = {}
        self._verdicts: dict[Overlay, Finding | None] = {}
        """Of overlays that were tried: why they are refused, or None."""
        self._good: dict[str, Overlay] = {}
        """By name: the newest that a proxy took. One that is refused all the same is no longer in force."""
        self._trials: dict[Overlay, asyncio.Task[None]] = {}
        self._examined: dict[frozenset[tuple[str, str]], str] = {}
        self._failing: dict[Overlay, Finding] = {}

    def select(self, world: World) -> World:
        """The world with the overlays that are in force, instead of those that are wanted."""
        self._world = replace(world, overlays=()) if world.overlays else world
        self._wanted = {str(overlay): overlay for overlay in world.overlays}
        names = {f"{namespace}/{name}" for namespace, name in self._objects}
        if not self._began:
            self._began = True
            self._good = {name: self._wanted[name] for name in self._taken() if name in self._wanted}
        self._forget(names)
        for overlay in self._wanted.values():
            if overlay not in self._verdicts and overlay not in self._trials and any(self.concerned(overlay)):
                self._trials[overlay] = asyncio.create_task(self._decide(overlay))
        in_force = tuple(laid.in_force for name in sorted(names) if (laid := self.look(name)).in_force)
        return world if world.overlays == in_force else replace(world, overlays=in_force)

    async def tried(self) -> None:
        """Wait until nothing is being tried out."""
        await asyncio.gather(*self._trials.values())

    def look(self, name: str) -> Laid:
        """How things stand with the ProxyOverlay ``namespace/name``."""
        wanted = self._wanted.get(name)
        decided = wanted in self._verdicts
        refusal = self._verdicts.get(wanted) if wanted else None
        if wanted is not None and decided and refusal is None:
            return Laid(wanted, wanted, None, undecided=False)
        earlier = self._good.get(name)
        return Laid(wanted, None if earlier == wanted else earlier, refusal, wanted in self._trials)

    def _taken(self) -> Iterator[str]:
        """Those of which their status says that proxies run by them: what this control plane's predecessor knew."""
        for (namespace, name), obj in self._objects.items():
            status = obj.get("status") or {}
            current = status.get("observedGeneration") == obj["metadata"].get("generation")
            if current and status.get("inForce") == "this" and status.get("proxies", {}).get("changed"):
                yield f"{namespace}/{name}"

    def names(self) -> Iterator[str]:
        """``namespace/name`` of every ProxyOverlay."""
        for namespace, name in self._objects:
            yield f"{namespace}/{name}"

    def concerned(self, overlay: Overlay) -> Iterator[Workload]:
        """The workloads whose proxies an overlay chooses."""
        return (workload for workload in self._world.workloads if overlay.concerns(workload))

    def awaits(self, change: Seen) -> bool:
        """Whether what a change means for the proxies is still being tried out."""
        if change.ref.kind == PROXY_OVERLAY.kind:
            return any((item.namespace, item.name) == (change.ref.namespace, change.ref.name) for item in self._trials)
        return change.ref.kind == CONFIG_MAP.kind and any(
            item.namespace == change.ref.namespace for item in self._trials
        )

    async def trial(self, overlay: Overlay) -> Finding | None:
        """Why an overlay can't be laid over the proxies it chooses; None if it can, over any of them."""
        misfit: Finding | None = None
        fits = False
        one_of_each = {workload.owner: workload for workload in self.concerned(overlay)}
        for workload in list(one_of_each.values())[:_MOST_TRIALS]:
            laid = self._raw.overlay(self._base(self._world, workload), (overlay,))
            if laid.misfits:
                wrong = laid.misfits[0]
                misfit = finding(overlay, "ML601", wrong.field, wrong.what, wrong.cure)
                continue
            fits = True
            if reason := await self._examine([change.after for change in laid.changes]):
                return refused(overlay, f"an Envoy that was given it says: {reason}")
        return None if fits else misfit

    async def _examine(self, resources: Sequence[Resource]) -> str:
        """The data plane's word on resources; the same are not tried twice."""
        key = frozenset((resource.name, resource.version) for resource in resources)
        if key and key not in self._examined:
            if len(self._examined) >= _MOST_EXAMINED:
                self._examined.clear()
            self._examined[key] = await self._raw.examine(resources)
        return self._examined.get(key, "")

    def hear(self, status: ProxyStatus) -> None:
        """What a proxy answered. An overlay that it refused is withdrawn, one that it took is good."""
        laid = self.overlaid.get(status.node)
        if laid is None or not laid.changes:
            return
        blamed = {change.overlay: reason for change, reason in _blamed(laid, status)}
        new = {overlay: reason for overlay, reason in blamed.items() if self._good.get(str(overlay)) != overlay}
        for overlay, reason in (new or blamed).items():
            if self._wanted.get(str(overlay)) == overlay and self._verdicts.get(overlay) is None:
                pod, _, namespace = status.node.rpartition(".")
                words = self._raw.plain(reason)
                self._verdicts[overlay] = refused(overlay, f"the proxy of {namespace}/{pod} says: {words}")
                log.warning("%s", self._verdicts[overlay])
                self._wake()
            elif self._good.get(str(overlay)) == overlay:
                del self._good[str(overlay)]
                self._wake()
        if not blamed and status.settled == status.generation:
            self._good.update({str(change.overlay): change.overlay for change in laid.changes})

    def note(self, exchange: Exchange) -> None:
        """A request has passed a proxy, or not: a filter that fails is to blame."""
        if not self.overlaid or not self._raw.blames_filter(exchange):
            return
        namespace, _, pod = exchange.reporter.partition("/")
        laid = self.overlaid.get(f"{pod}.{namespace}")
        direction = Direction.INBOUND if exchange.side is Side.SERVER else Direction.OUTBOUND
        for overlay in {change.overlay for change in laid.changes} if laid else ():
            for index, item in enumerate(overlay.filters):
                if item.language is Language.WASM and item.direction is direction and overlay not in self._failing:
                    what = f"{item.name} failed in the proxy of {exchange.reporter}: {exchange.details}"
                    cure = f"kubectl logs -n {namespace} {pod} -c envoy has the trace; replace the module"
                    self._failing[overlay] = finding(
                        overlay, "ML606", f"spec.filters[{index}]", what, cure, Severity.WARNING
                    )
                    self._wake()

    def findings(self) -> Iterator[Finding]:
        """What is wrong with overlays, besides what can be read in them."""
        for name in self.names():
            laid = self.look(name)
            if laid.refusal:
                yield laid.refusal
            elif laid.wanted and not any(self.concerned(laid.wanted)):
                cure = "kubectl get pods --show-labels, and compare with spec.selector"
                what = f"no pod of namespace {laid.wanted.namespace} with a sidecar has these labels"
                yield finding(laid.wanted, "ML605", "spec.selector", what, cure, Severity.WARNING)
            if laid.in_force in self._failing:
                yield self._failing[laid.in_force]
        told = set()
        for node, overlaid in sorted(self.overlaid.items()):
            for misfit in overlaid.misfits:
                if (misfit.overlay, misfit.what) not in told:
                    told.add((misfit.overlay, misfit.what))
                    what = f"{misfit.what}, so {node} and perhaps others go without it"
                    yield finding(misfit.overlay, "ML601", misfit.field, what, misfit.cure, Severity.WARNING)

    async def _decide(self, overlay: Overlay) -> None:
        try:
            verdict = await self.trial(overlay)
        except Exception as error:
            log.exception("overlay %s can't be tried out", overlay)
            verdict = refused(overlay, f"it could not be tried out: {type(error).__name__}")
        finally:
            del self._trials[overlay]
        self._verdicts[overlay] = verdict
        if verdict:
            log.warning("%s", verdict)
        self._wake()

    def _forget(self, names: Iterable[str]) -> None:
        """What is neither wanted nor good any more."""
        there = set(names)
        self._good = {name: overlay for name, overlay in self._good.items() if name in there}
        kept = {*self._wanted.values(), *self._good.values()}
        self._verdicts = {overlay: verdict for overlay, verdict in self._verdicts.items() if overlay in kept}
        self._failing = {overlay: item for overlay, item in self._failing.items() if overlay in kept}


def finding(
    overlay: Overlay, code: str, field: str, what: str, cure: str, severity: Severity = Severity.ERROR
) -> Finding:
    """A finding about a ProxyOverlay."""
    return Finding(code, f"{PROXY_OVERLAY.kind} {overlay}", field, what, cure, severity)


def refused(overlay: Overlay, what: str) -> Finding:
    """It could be laid over the resources, and Envoy would not have it."""
    cure = "correct it; until then its last good version is in force, if there was one"
    return finding(overlay, "ML604", "spec", what, cure)


def _blamed(laid: Overlaid, status: ProxyStatus) -> Iterator[tuple[Change, str]]:
    """The changes that a refusal speaks of, if it is the refusal of what the proxy is meant to have now."""
    for url, kind in status.types.items():
        if kind.refused and kind.sent == laid.snapshot.version_of(url):
            changes = [change for change in laid.changes if change.after.type_url == url]
            named = [change for change in changes if change.after.name in kind.refused]
            yield from ((change, kind.refused) for change in named or changes)
