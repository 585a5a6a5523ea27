"""What does a notebook hold in its hand? A running lab: apply, split, watch, certificates, check."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Hashable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from meshlab.cluster.labs import cluster_of
from meshlab.errors import MeshlabError
from meshlab.kube import Kube, Object
from meshlab.lab import apply as applying
from meshlab.lab import certificates as certifying
from meshlab.lab import checks, install, magics, overview, reading, recorded, status
from meshlab.lab import explain as explaining
from meshlab.lab import split as splitting
from meshlab.lab.audit import Audit, audit
from meshlab.lab.explain import Explanation
from meshlab.lab.install import Started
from meshlab.lab.learned import Learned, learn_policies
from meshlab.lab.links import Link
from meshlab.lab.loop import lab_loop
from meshlab.lab.progress import Progress
from meshlab.lab.rotate_root import RotatedRoot, rotate_root
from meshlab.lab.seen import see
from meshlab.lab.stream import ROOT, Stream
from meshlab.lab.tap_target import ends_of
from meshlab.lab.tapped import Wiretap
from meshlab.lab.verify import verify
from meshlab.lab.what_if import WhatIf, what_if
from meshlab.lab.wiretap import wiretap
from meshlab.lab.xds import ProxyConfiguration, xds
from meshlab.observe import frames
from meshlab.widgets import CertificatesWidget, Dashboard, SplitWidget

_FIRST_SIGHT_SECONDS = 5

# Widgets say what they can't reach; Python's handler of last resort would say it again below some cell.
logging.getLogger("meshlab").addHandler(logging.NullHandler())


class Lab:
    """A running lab. Make one with `meshlab.up()`.

    Its methods are called from cells; those of them that show something live return at once. Each widget is
    made once: asking again shows the same one.
    """

    def __init__(self, started: Started) -> None:
        self.name = started.name
        self.kubeconfig = started.kubeconfig
        self.image = started.image
        self._credentials = started.kubeconfig.read_bytes()
        self._loop = lab_loop()
        self._kube = self._loop.run(Kube.connect(started.kubeconfig))
        self._stream = Stream(self._kube)
        self._widgets: dict[Hashable, Any] = {}
        self._running: list[Future[Any]] = []
        self._closed = False

    def apply(self, source: str | Path, *, force: bool = False) -> applying.Receipt:
        """Apply YAML, a file or a folder, and tell which proxies took it, and when.

        `force` takes over fields that another manager owns.
        """
        return self._loop.run(applying.apply(self._kube, applying.read(source), force=force))

    def split(self, service: str) -> SplitWidget:
        """Sliders that share the calls to a Service among its versions: ``lab.split("bookstore")``."""
        return self._loop.run(self._split(service))

    def watch(self) -> Dashboard:
        """Live: requests per second, success rate, latency."""
        return self._loop.run(self._watch())

    def certificates(self) -> CertificatesWidget:
        """Who has which identity, until when, and on which edges mTLS was used."""
        return self._loop.run(self._certificates())

    def edges(self, seconds: float = 10) -> pd.DataFrame:
        """A table of who called whom in the last seconds, how often and with which success."""
        return self._loop.run(self._edges(seconds))

    async def observe(self, seconds: float = 10) -> pd.DataFrame:
        """Wait for so many seconds of fresh traffic, then the table of it. Widgets stay alive meanwhile."""
        await asyncio.sleep(seconds)
        return await self._loop.wait(self._edges(seconds))

    def explain(
        self,
        source: str | Mapping[str, Any],
        destination: str = "",
        request: str = "GET /",
        headers: Mapping[str, str] | None = None,
    ) -> Explanation:
        """May this call pass, by which policy, and what would allow it: ``lab.explain("bookthief", "bookstore", "GET
        /books-bought")``. `headers` are those that policies speak of. `.apply()` makes the change that it proposes.

        A row of `lab.requests()` asks about a request that was made: what became of it, and what would now.
        """
        known = self._loop.run(reading.of_cluster(self._kube))
        if isinstance(source, str):
            return explaining.explain(known, source, destination, request, headers, self._write)
        return explaining.of_request(known, source, self._write)

    def xds(self, pod: str) -> ProxyConfiguration:
        """What a proxy runs by: its resources, what overlays change in them, and what it was told lately, with its
        answer: ``lab.xds("bookstore-v1")``. `pod` is a pod or what runs it.
        """
        return self._loop.run(xds(self._kube, pod))

    def verify(self, source: str, destination: str, request: str = "") -> Link:
        """Is the chain from one to the other whole: control plane, sidecars, certificates, configuration, policy?"""
        return verify(self._loop.run(see(self._kube)), source, destination, request)

    def requests(self, most: int = 100) -> pd.DataFrame:
        """A table of the newest requests, the newest first, with what the proxies said of each."""
        return recorded.table(self._loop.run(recorded.newest(self._kube, most)))

    def what_if(self, source: str | Path = "", *, without: Sequence[str] = ()) -> WhatIf:
        """Which of the calls on record would fare otherwise, had this YAML been applied, and those objects deleted that
        `without` names (``["TrafficTarget bookstore/bookstore"]``). Nothing is applied.
        """
        objects = applying.read(source) if source else []
        return what_if(*self._loop.run(self._seen()), objects, without)

    def audit(self) -> Audit:
        """Who talked to whom, allowed by which policy; what no policy speaks of; which policies no traffic needs."""
        known, seen = self._loop.run(self._seen())
        return audit(known.world, seen)

    def learn_policies(self, *, refused: bool = False) -> Learned:
        """The smallest set of TrafficTargets that admits what was seen: `.yaml`, `.apply()`. What was `refused` counts
        only if you say so.
        """
        known, seen = self._loop.run(self._seen())
        return learn_policies(recorded.for_targets(seen, known.world), refused=refused, applier=self.apply)

    def wiretap(self, edge: str | Mapping[str, Any], service: str | None = None, *, seconds: float = 5) -> Wiretap:
        """Listen to an edge, on the wire and inside the server's pod: ``lab.wiretap("bookbuyer", "bookstore")``.

        `edge` may also be a row of `lab.edges()`. It shows the first bytes of what passes, as they are.
        """
        return self._loop.run(wiretap(self._kube, self.image, *ends_of(edge, service), seconds))

    def rotate_root(self) -> RotatedRoot:
        """Replace the root of all identities while calls go on. Each step waits until all proxies took the last."""
        progress = Progress(self._loop)
        return progress.follow(rotate_root(self._kube, progress.hear))

    async def check(self, name: str) -> checks.Outcome:
        """Check an idea against real state and traffic: ``await lab.check("02-1")``. Waits for traffic to settle."""
        return await self._loop.wait(checks.run(self._kube, name))

    def status(self) -> status.Status:
        """Where it runs, in which mode, and whether each part is well."""
        return self._loop.run(status.read(self.name))

    def down(self) -> None:
        """End the lab and every process it started. `meshlab.up()` starts it again as it was."""
        self.close()
        self._loop.run(cluster_of(self.name).down())

    def close(self) -> None:
        """Let go of the cluster: its widgets stand still from now on. The lab goes on without."""
        self._closed = True
        for future in self._running:
            future.cancel()
        self._loop.run(self._stream.close())
        self._loop.run(self._kube.close())

    def serves(self, started: Started) -> bool:
        """Whether it is connected to what was started: a lab that was down comes back at another address."""
        return not self._closed and self._credentials == started.kubeconfig.read_bytes()

    def __repr__(self) -> str:
        return overview.text(self.status())

    def _repr_html_(self) -> str:
        return overview.html(self.status())

    async def _split(self, service: str) -> SplitWidget:
        root = await splitting.find_root(self._kube, service)
        if ("split", root) not in self._widgets:
            leaves = await splitting.find_leaves(self._kube, root)
            widget = SplitWidget(str(root), lambda weights: self._start(control.move(weights), widget))
            control = splitting.SplitControl(self._kube, widget, root, leaves)
            self._widgets["split", root] = widget
            self._start(control.run(), widget)
            with suppress(TimeoutError):
                await asyncio.wait_for(control.shown.wait(), _FIRST_SIGHT_SECONDS)
        found: SplitWidget = self._widgets["split", root]
        return found

    async def _watch(self) -> Dashboard:
        if "watch" not in self._widgets:
            self._widgets["watch"] = Dashboard()
            await self._stream.add(self._widgets["watch"])
        found: Dashboard = self._widgets["watch"]
        return found

    async def _certificates(self) -> CertificatesWidget:
        if "certificates" not in self._widgets:
            widget = self._widgets["certificates"] = CertificatesWidget()
            await certifying.refresh(self._kube, widget)
            self._start(certifying.keep_fresh(self._kube, widget), widget)
        found: CertificatesWidget = self._widgets["certificates"]
        return found

    async def _edges(self, seconds: float) -> pd.DataFrame:
        found = await self._kube.request("GET", f"{ROOT}/edges", query={"window": seconds})
        return frames.edges(found["edges"], found["window"])

    def _write(self, objects: tuple[Object, ...]) -> applying.Receipt:
        return self._loop.run(explaining.write(self._kube, objects))

    async def _seen(self) -> tuple[reading.Known, tuple[recorded.Recorded, ...]]:
        return await reading.of_cluster(self._kube), await recorded.kinds(self._kube)

    def _start(self, work: Coroutine[Any, Any, Any], widget: SplitWidget | CertificatesWidget) -> None:
        """Hand work over; what goes wrong is shown where the learner looks."""
        future = self._loop.start(work, on_error=lambda error: widget.show(error=str(error) or type(error).__name__))
        self._running = [*(running for running in self._running if not running.done()), future]


_labs: dict[str, Lab] = {}


def up(
    cluster: str | None = None,
    *,
    name: str | None = None,
    demo: bool = True,
    context: str = "",
    image: str = "",
    network: str = "",
    gateway: bool = False,
) -> Lab:
    """Start a lab, or finish and repair one that was started; safe to repeat.

    `cluster` is ``embedded`` or ``kind``; or else `context` names an existing one, which pulls `image`. Without them:
    where the lab is, or embedded, whose pod `network` is ``namespaces``, or ``loopback`` where those can't be had.
    `gateway` adds the mesh's own way in from outside, for Ingresses of class meshlab.
    `name` tells labs apart (default: the environment's MESHLAB_NAME, else ``default``).
    `demo` brings the bookstore. In a notebook `%kubectl` and `%%smi` are there afterwards.
    """
    name = name or os.environ.get("MESHLAB_NAME", "default")
    progress = Progress(lab_loop())
    try:
        started = progress.follow(
            install.start(
                name,
                demo,
                progress.hear,
                kind=cluster,
                context=context,
                image=image,
                network=network,
                gateway=gateway,
            )
        )
    except (KeyboardInterrupt, MeshlabError) as error:
        error.add_note(lab_loop().run(install.left(name)))
        raise
    known = _labs.get(name)
    if known is None or not known.serves(started):
        if known:
            known.close()
        _labs[name] = Lab(started)
    magics.use(_labs[name])
    return _labs[name]
