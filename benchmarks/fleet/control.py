"""The control plane under measurement: its own loop, compiler and discovery server, and a watch on the answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Self

from fleet.fleet import own_certificate
from fleet.mesh import Stores, mesh, node
from meshlab.controlplane.loop import Loop
from meshlab.controlplane.overlays import OverlayKeeper
from meshlab.controlplane.push import Pusher
from meshlab.controlplane.receipts import Receipts
from meshlab.controlplane.world import WorldReader
from meshlab.dataplane import Credentials
from meshlab.dataplane.envoy.plane import EnvoyDataPlane
from meshlab.identity import CertificateAuthority, new_svid
from meshlab.kube import Object
from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN, Identity
from meshlab.policy import languages
from meshlab.xds import AdsServer, KeyPair, ProxyStatus, Snapshot, credentials


class Held:
    """A certificate for each identity that has a workload."""

    def __init__(self, authority: CertificateAuthority) -> None:
        self._authority = authority
        self._held: dict[Identity, Credentials] = {}
        self.lifetime = timedelta(hours=24)

    def __getitem__(self, identity: Identity) -> Credentials:
        return self._held[identity]

    async def ensure(self, identities: Iterable[Identity]) -> None:
        for identity in set(identities) - self._held.keys():
            svid = await new_svid(self._authority, identity)
            self._held[identity] = Credentials(svid, await self._authority.bundle())


class Control:
    """A control plane for N pods. Use as an async context manager."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.stores = Stores()
        self.authority = CertificateAuthority.create()
        self._svids = Held(self.authority)
        self.identities = {
            node(number): Identity(node(number).partition(".")[2], f"account-{number}") for number in range(count)
        }
        self.port = 0

    async def __aenter__(self) -> Self:
        self.stores.put(mesh(self.count))
        svid = await own_certificate(self.authority)
        self.pair = KeyPair(svid.key, svid.chain, await self.authority.bundle())
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start, or start again: nothing is known of the proxies, and all of the objects are read anew."""
        plane = EnvoyDataPlane()
        self.ads = AdsServer(plane.stages, plane.receivers(lambda _: None, lambda _: ""))
        worlds = WorldReader(self.stores.store, languages(), DEFAULT_TRUST_DOMAIN)
        pusher, receipts = Pusher(self.ads, plane), Receipts(self.ads.proxies)
        overlays = OverlayKeeper(plane.raw, lambda *_: Snapshot.of("", ()), {}, pusher.overlaid, lambda: None)
        self.loop = Loop(self.stores, worlds, self._svids, pusher, receipts, overlays)
        self._connected: set[str] = set()
        self._open: set[str] = set()
        self._settled = 0
        self._answered = asyncio.Event()
        self.ads.proxies.subscribe(self._note)
        self.stores.see_everything()
        self._task = asyncio.create_task(self.loop.run())
        await self.loop.ready.wait()
        self.port = await self.ads.start(f"127.0.0.1:{self.port}", credentials(lambda: self.pair))

    async def stop(self) -> None:
        """Stop serving."""
        self._task.cancel()
        await self.ads.stop()

    def told(self) -> int:
        """How often a proxy was told something, and answered."""
        return self._settled

    async def all_settled(self, count: int) -> float:
        """Wait until this many proxies have all they are meant to; seconds."""
        began = time.perf_counter()
        while len(self._connected) < count or self._open or not self._all_have_answered():
            self._answered.clear()
            await self._answered.wait()
        return time.perf_counter() - began

    def _all_have_answered(self) -> bool:
        statuses = [self.ads.proxies[node] for node in self._connected]
        return all(status.settled == status.generation for status in statuses)

    async def restart(self, count: int) -> tuple[float, int, int]:
        """Go away and come back, knowing nothing of the proxies, which all return at once. Seconds until each has
        everything, and the responses and bytes that this took.
        """
        await self.stop()
        began = time.perf_counter()
        await self.start()
        await self.all_settled(count)
        return time.perf_counter() - began, self.ads.responses_sent, self.ads.bytes_sent

    async def converge(self, objects: Iterable[Object]) -> float:
        """Change objects; milliseconds until the last proxy that is concerned has answered."""
        changed = list(objects)
        generation = self.loop.generation
        began = time.perf_counter()
        self.stores.put(changed)
        while self.loop.generation == generation or self._open:
            self._answered.clear()
            await self._answered.wait()
        return (time.perf_counter() - began) * 1000

    async def burst(self, objects: Sequence[Object], over: float) -> tuple[float, int]:
        """Change one object after the other; milliseconds from the last until all is acknowledged, and responses."""
        responses = self.ads.responses_sent
        for obj in objects[:-1]:
            self.stores.put([obj])
            await asyncio.sleep(over / len(objects))
        took = await self.converge(objects[-1:])
        return took, self.ads.responses_sent - responses

    def _note(self, status: ProxyStatus) -> None:
        if status.connected:
            self._connected.add(status.node)
        if status.connected and status.settled < status.generation:
            self._open.add(status.node)
        elif status.node in self._open:
            self._open.discard(status.node)
            self._settled += 1
        if not self._open:
            self._answered.set()
