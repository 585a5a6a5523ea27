"""How long after a policy changes has the last of N proxies acknowledged it?

N simulated proxies in a second process speak delta discovery over mutual TLS, each on a connection of its own and
with an identity of its own; beside them real Envoys. Their pods are behind 50 Services. The clock starts when the
control plane sees the changed object, and stops when the last proxy that it concerns has answered.

Each figure is held against its floor: a bare grpc.aio server that sends as many bytes, serialised beforehand, over as
many such connections, and waits for an answer to each.

    python benchmarks/convergence.py [N ...]        (default: 10 100 1000)
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from fleet.control import Control
from fleet.envoys import envoys
from fleet.fleet import fleet
from fleet.floor import Floor, floor
from fleet.mesh import SERVICES, account, endpoints, pod, split, target

from meshlab.kube import Object

RUNS = 20
ENVOYS = 3


@dataclass
class Figures:
    """What one kind of change took."""

    milliseconds: list[float] = field(default_factory=list)
    proxies: int = 0
    """Concerned by each change."""
    sent: int = 0
    """Bytes for each change."""
    floor: list[float] = field(default_factory=list)
    """Milliseconds that the bare server took for the same, right after each."""
    cpu: float = 0.0
    """Seconds for each change, of the control plane."""

    def row(self, what: str) -> str:
        """A line of the table."""
        least = median(self.floor)
        middle, slow = median(self.milliseconds), quantiles(self.milliseconds, n=100, method="inclusive")[98]
        return (
            f"  {what:24} {self.proxies:5} proxies {middle:8.1f} {slow:8.1f} ms   floor {least:7.1f} ms"
            f" = {middle / least:4.1f} times   {self.sent / 1e3:9.1f} kB   {self.cpu * 1e3:7.1f} ms CPU"
        )


async def measure(control: Control, bare: Floor, change: Callable[[int], Iterable[Object]]) -> Figures:
    """Change something again and again, each time until the last proxy has answered; in between, the bare server."""
    figures = Figures()
    for run in range(RUNS):
        before, sent, cpu = control.told(), control.ads.bytes_sent, time.process_time()
        figures.milliseconds.append(await control.converge(change(run)))
        figures.proxies = control.told() - before
        figures.sent = control.ads.bytes_sent - sent
        figures.cpu += (time.process_time() - cpu) / RUNS
        figures.floor.append(await bare.send(figures.proxies, figures.sent))
    return figures


def rss() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def scenario(count: int) -> None:
    """All changes for one number of proxies."""
    async with Control(count) as control, fleet(control.authority) as simulated:
        await simulated.create(control.identities)
        gc.collect()
        before = rss()
        await simulated.tell(do="discover", port=control.port)
        took = await control.all_settled(count)
        gc.collect()
        print(f"N = {count}: all told after {took:.2f} s; {(rss() - before) / count / 1e3:.0f} kB of memory for each")
        async with envoys(control, ENVOYS), floor(control, simulated) as bare:
            changes: dict[str, Callable[[int], Iterable[Object]]] = {
                "TrafficSplit": lambda run: [split(49 - run)],
                "TrafficTarget": lambda run: [target(3, ("buy", "books")[run % 2])],
                "pod added": lambda run: _one_more(count + run),
            }
            measured = {what: await measure(control, bare, change) for what, change in changes.items()}
            single = median(measured["TrafficSplit"].milliseconds)
            for what, figures in measured.items():
                print(figures.row(what))
            last, responses = await control.burst([split(60 + number) for number in range(20)], over=2.0)
            back, resent, size = await control.restart(count + ENVOYS)
        print(f"  20 changes in 2 s         last answer {last:8.1f} ms after the last ({last / single:.1f} times one)")
        print(f"                            {responses / (count + ENVOYS):.1f} responses to each proxy")
        print(f"  restart                   all settled after {back:.2f} s; {resent} responses, {size / 1e3:.1f} kB")


def _one_more(number: int) -> Iterable[Object]:
    service = number % SERVICES
    return [account(number), pod(number), endpoints(service, range(service, number + 1, SERVICES))]


async def main() -> None:
    """Print a table."""
    for count in [int(argument) for argument in sys.argv[1:]] or [10, 100, 1000]:
        await scenario(count)


if __name__ == "__main__":
    asyncio.run(main())
