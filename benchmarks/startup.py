"""How long does `meshlab up` take to the first request over mTLS, and how much memory does it all hold?

Prints the seconds of each step, then the proportional memory (PSS) of every process that was started, a minute
after the start. A lab of its own in a temporary folder; nothing is left behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections import defaultdict

import psutil

HOME = tempfile.TemporaryDirectory(prefix="meshlab-bench-")
os.environ["MESHLAB_HOME"] = HOME.name

from meshlab.cluster.embedded import EmbeddedCluster  # noqa: E402  # the folder is chosen first
from meshlab.kube import Kube  # noqa: E402
from meshlab.lab import install  # noqa: E402
from meshlab.lab.steps import Outcome, Report  # noqa: E402

STREAM = "/apis/observe.meshlab.dev/v1alpha1/stream"
SETTLE_SECONDS = 60


def show(report: Report) -> None:
    if report.outcome is not Outcome.RUNNING:
        print(f"{report.seconds:7.1f} s  {report.sentence} ({report.detail})")


async def first_request_over_mtls(kube: Kube) -> str:
    async for line in kube.lines(STREAM, {}):
        for edge in json.loads(line)["edges"]:
            if edge["mtls"] and edge["statuses"].get("200"):
                return f"{edge['source_workload']} → {edge['destination_workload']}"
    raise SystemExit("the stream ended before a request was seen")


def memory() -> dict[str, list[int]]:
    """PSS in bytes by what a process is."""
    found: dict[str, list[int]] = defaultdict(list)
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and HOME.name in " ".join(process.environ().values()):
                found[name_of(process)].append(process.memory_full_info().pss)
        except psutil.Error:
            continue
    return found


def name_of(process: psutil.Process) -> str:
    arguments = process.cmdline()
    if "-m" in arguments:
        return arguments[arguments.index("-m") + 1]
    return process.name()


async def main() -> None:
    cluster = EmbeddedCluster("bench")
    try:
        began = time.monotonic()
        started = await install.start(cluster.name, progress=show)
        async with await Kube.connect(started.kubeconfig) as kube:
            up = time.monotonic()
            edge = await asyncio.wait_for(first_request_over_mtls(kube), 60)
            now = time.monotonic()
            print(f"{now - up:7.1f} s  First request over mTLS ({edge})")
            print(f"{now - began:7.1f} s  altogether\n")
        await asyncio.sleep(SETTLE_SECONDS)
        found = memory()
        for name, sizes in sorted(found.items(), key=lambda item: -sum(item[1])):
            each = ", ".join(f"{size / 2**20:.0f}" for size in sorted(sizes, reverse=True))
            print(f"{sum(sizes) / 2**20:7.0f} MiB  {len(sizes)} x {name} ({each})")
        print(f"{sum(map(sum, found.values())) / 2**20:7.0f} MiB  proportional memory altogether")
    finally:
        await cluster.purge()
        HOME.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
