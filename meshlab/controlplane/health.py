"""Is the control plane alive, is it ready, and what does it count? Plain HTTP for probes and Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

Conditions = Callable[[], Mapping[str, bool]]


def routes(conditions: Conditions, metrics: Callable[[], Iterable[str]], content_type: str) -> list[web.RouteDef]:
    """`/healthz`: the process answers. `/readyz`: every condition holds; one line for each. `/metrics`."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        states = conditions()
        lines = "".join(f"[{'+' if good else '-'}] {name}\n" for name, good in states.items())
        return web.Response(status=200 if all(states.values()) else 503, text=lines)

    async def metrics_(_request: web.Request) -> web.Response:
        return web.Response(text="\n".join(metrics()) + "\n", headers={"Content-Type": content_type})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics_)]
