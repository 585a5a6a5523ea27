"""How long after a policy changes has the last of N real Envoys acknowledged it?

Measured is what the control plane does from the moment it knows of the change: view, compile, push, and the
answer of every Envoy, over mutual TLS, each with an identity of its own. N bookbuyers call a bookstore whose
TrafficSplit changes, which concerns them all; and a bookstore of N replicas gets another permission.

    python benchmarks/convergence.py [N ...]        (default: 1 10 50)
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "dataplane"))

from loopback_mesh import Mesh, split

from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Permission

RUNS = 20
STORE = Identity("bookstore", "bookstore")


@dataclass(frozen=True)
class Result:
    """Milliseconds of each run, and what was sent in all of them."""

    milliseconds: list[float]
    responses: int

    def __str__(self) -> str:
        return f"median {median(self.milliseconds):7.1f} ms   slowest of {RUNS} {max(self.milliseconds):7.1f} ms"


async def measure(mesh: Mesh, change: Callable[[int], None]) -> Result:
    """Change something again and again; each time until the last proxy has answered."""
    sent, times = mesh.watch_sent(), []
    for run in range(RUNS):
        change(run)
        start = time.perf_counter()
        await mesh.push()
        times.append((time.perf_counter() - start) * 1000)
    return Result(times, len(sent))


async def buyers(count: int) -> Result:
    """A split changes for N clients."""
    async with Mesh() as mesh:
        for number in range(count):
            await mesh.pod(f"bookbuyer-{number}", app=False)
        for version in ("v1", "v2"):
            await mesh.pod(f"bookstore-{version}", "bookstore", meshed=False)
            mesh.service(f"bookstore/bookstore-{version}", f"bookstore-{version}")
        mesh.service("bookstore/bookstore", "bookstore-v1", "bookstore-v2")
        await mesh.push()

        def change(run: int) -> None:
            mesh.splits = (split("bookstore/bookstore", bookstore_v1=100 - run, bookstore_v2=1 + run),)

        return await measure(mesh, change)


async def replicas(count: int) -> Result:
    """A permission changes for N servers of one identity."""
    async with Mesh() as mesh:
        for number in range(count):
            await mesh.pod(f"bookstore-{number}", "bookstore")
        mesh.service("bookstore/bookstore", *mesh.pods)
        mesh.permissive = False
        await mesh.push()

        def change(run: int) -> None:
            sources = frozenset({Identity("bookbuyer", f"bookbuyer-{run}")})
            mesh.permissions = (Permission("bookstore/p", STORE, sources),)

        return await measure(mesh, change)


async def main() -> None:
    """Print a table."""
    counts = [int(argument) for argument in sys.argv[1:]] or [1, 10, 50]
    for what, scenario in (("TrafficSplit, N clients", buyers), ("TrafficTarget, N servers", replicas)):
        print(f"{what}: change to last ACK")
        first = None
        for count in counts:
            result = await scenario(count)
            first = first or median(result.milliseconds)
            ratio = median(result.milliseconds) / first
            print(f"  N = {count:4}   {result}   {result.responses} responses   {ratio:5.1f} times N = {counts[0]}")


if __name__ == "__main__":
    asyncio.run(main())
