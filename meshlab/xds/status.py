"""Which proxies have heard, and what did they answer? Kept per proxy; whoever waits is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from meshlab.xds.resource import TypeUrl


class TypeStatus(NamedTuple):
    """How far one proxy is with one type. Versions are `Snapshot.version_of` the type."""

    sent: str = ""
    acked: str = ""
    refused: str = ""
    """Why the proxy refused what was sent last (its NACK); empty when it didn't."""


class ProxyStatus(NamedTuple):
    """What is known of one proxy. A proxy is settled when it has answered for all of its newest snapshot."""

    node: str
    spiffe_id: str = ""
    """Proven by its certificate; empty until it has connected."""
    connected_since: float | None = None
    """Seconds since the epoch; None while it is away."""
    generation: int = 0
    """Counts the snapshots meant for this proxy that differed from the one before."""
    version: str = ""
    settled: int = 0
    """The newest generation that the proxy has answered for in full."""
    settled_ms: float | None = None
    """From `set_snapshot` to the last answer, for the generation `settled`."""
    refusals: Mapping[int, str] = MappingProxyType({})
    """Why it refused a part of the last few generations of which it did."""
    types: Mapping[TypeUrl, TypeStatus] = MappingProxyType({})

    @property
    def connected(self) -> bool:
        """Whether its stream is open."""
        return self.connected_since is not None

    @property
    def refused(self) -> dict[TypeUrl, str]:
        """The reason for each type that the proxy refused; empty when it took everything."""
        return {url: status.refused for url, status in self.types.items() if status.refused}


Listener = Callable[[ProxyStatus], None]


class Proxies:
    """The status of every proxy, and who wants to hear of it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._by_node: dict[str, ProxyStatus] = {}
        self._waiting: dict[str, list[tuple[int, asyncio.Future[ProxyStatus]]]] = {}
        self._listeners: list[Listener] = []

    def __getitem__(self, node: str) -> ProxyStatus:
        """The status of one proxy; a blank one for a name never heard of."""
        return self._by_node.get(node) or ProxyStatus(node)

    def all(self) -> list[ProxyStatus]:
        """Every proxy, in name order."""
        return [self._by_node[node] for node in sorted(self._by_node)]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on every change, on the event loop. Returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def settled(self, node: str, generation: int, timeout: float) -> ProxyStatus:
        """Wait until a proxy has answered for a generation or a later one, or time is up; its status then."""
        if self[node].settled >= generation:
            return self[node]
        future: asyncio.Future[ProxyStatus] = asyncio.get_running_loop().create_future()
        entry = (generation, future)
        self._waiting.setdefault(node, []).append(entry)
        try:
            return await asyncio.wait_for(future, timeout)
        except TimeoutError:
            return self[node]
        finally:
            waiting = self._waiting[node]
            if entry in waiting:
                waiting.remove(entry)
            if not waiting:
                del self._waiting[node]

    def update(self, node: str, **changes: Any) -> None:
        """Change what is known of a proxy and tell those who wait."""
        status = self[node]._replace(**changes)
        self._by_node[node] = status
        for generation, future in self._waiting.get(node, ()):
            if status.settled >= generation and not future.done():
                future.set_result(status)
        for listener in tuple(self._listeners):
            listener(status)

    def update_type(self, node: str, url: TypeUrl, **changes: str) -> None:
        """The same for one type."""
        types = dict(self[node].types)
        types[url] = types.get(url, TypeStatus())._replace(**changes)
        self.update(node, types=MappingProxyType(types))

    def forget(self, node: str) -> None:
        """The proxy is gone for good. Whoever waits for it is answered with what was known last."""
        status = self._by_node.pop(node, ProxyStatus(node))
        for _, future in self._waiting.get(node, ()):
            if not future.done():
                future.set_result(status)
