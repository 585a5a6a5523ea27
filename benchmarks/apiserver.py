"""How fast is the embedded API server?

`python benchmarks/apiserver.py` starts one in a process of its own, on an empty database, and asks it over
TLS as any client does. `python benchmarks/apiserver.py KUBECONFIG` asks another server the same, to compare.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.kube import Kube

READS = 500
WRITES = 400
WRITERS = 16
PODS = 1000
NAMESPACE = f"bench-{int(time.time())}"
ROOT = f"/api/v1/namespaces/{NAMESPACE}"

SERVE = """
import asyncio, pathlib, sys
from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.cluster.embedded.apiserver.server import ApiServer

async def main():
    folder = pathlib.Path(sys.argv[1])
    print(await ApiServer(folder, Pki.open(folder / "pki")).start(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def embedded() -> Iterator[tuple[Path, psutil.Process]]:
    """A server of our own: its kubeconfig and its process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with subprocess.Popen([sys.executable, "-c", SERVE, name], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                url = f"https://127.0.0.1:{process.stdout.readline().strip()}"
                kubeconfig = folder / "kubeconfig"
                kubeconfig.write_text(yaml.safe_dump(Pki.open(folder / "pki").kubeconfig(url)))
                yield kubeconfig, psutil.Process(process.pid)
            finally:
                process.kill()


def pod(number: int) -> dict[str, Any]:
    container = {
        "name": "web",
        "image": "web:1",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "COLOR", "value": "blue"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 80}},
    }
    return {"metadata": {"name": f"p{number:04}", "labels": {"app": "web"}}, "spec": {"containers": [container]}}


async def reads(kube: Kube) -> None:
    took = []
    for _ in range(READS):
        began = time.perf_counter()
        await kube.request("GET", "/api/v1/namespaces/default")
        took.append(time.perf_counter() - began)
    show("GET of one object", took)


async def writes(kube: Kube) -> float:
    took = []
    for number in range(WRITES):
        began = time.perf_counter()
        await kube.request("POST", f"{ROOT}/configmaps", body={"metadata": {"name": f"a{number}"}, "data": {"x": "y"}})
        took.append(time.perf_counter() - began)
    show("durable write, 1 writer", took)
    return WRITES / sum(took)


async def concurrent_writes(kube: Kube, alone: float) -> None:
    async def write(writer: int) -> None:
        for number in range(WRITES // 4):
            body = {"metadata": {"name": f"b{writer}-{number}"}, "data": {"x": "y"}}
            await kube.request("POST", f"{ROOT}/configmaps", body=body)

    began = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    rate = WRITERS * (WRITES // 4) / (time.perf_counter() - began)
    print(f"durable writes, {WRITERS} writers   {rate:8.0f} /s   {rate / alone:.1f} x one writer's {alone:.0f} /s")


async def pods(kube: Kube) -> None:
    """1,000 pods: made while a watch looks on, then listed."""
    listed = await kube.request("GET", f"{ROOT}/pods")
    seen = asyncio.create_task(watched(kube, listed["metadata"]["resourceVersion"]))
    began = time.perf_counter()

    async def make(writer: int) -> None:
        for number in range(writer, PODS, WRITERS):
            await kube.request("POST", f"{ROOT}/pods", body=pod(number))

    await asyncio.gather(*(make(writer) for writer in range(WRITERS)))
    made = time.perf_counter() - began
    late = await seen - began - made
    print(f"create {PODS} pods             {PODS / made:8.0f} /s   a watch had them all {late * 1000:.0f} ms later")
    took, size = [], 0
    for _ in range(10):
        began = time.perf_counter()
        size = len(await kube.text(f"{ROOT}/pods"))
        took.append(time.perf_counter() - began)
    show(f"list of {PODS} pods, {size / 1e6:.1f} MB", took)
    began = time.perf_counter()
    await watched(kube, listed["metadata"]["resourceVersion"])
    print(f"watch of {PODS} past events    {PODS / (time.perf_counter() - began):8.0f} /s")


async def watched(kube: Kube, version: str) -> float:
    count = 0
    async for line in kube.lines(f"{ROOT}/pods", {"watch": "true", "resourceVersion": version}):
        count += json.loads(line)["type"] == "ADDED"
        if count == PODS:
            return time.perf_counter()
    raise AssertionError(f"the watch ended after {count} pods")


def show(what: str, took: list[float]) -> None:
    p50, p99 = statistics.median(took) * 1000, statistics.quantiles(took, n=100)[98] * 1000
    print(f"{what:27} {p50:8.2f} ms p50 {p99:8.2f} ms p99 {1000 / p50:8.0f} /s")


async def measure(kubeconfig: Path) -> None:
    async with await Kube.connect(kubeconfig) as kube:
        await kube.request("POST", "/api/v1/namespaces", body={"metadata": {"name": NAMESPACE}})
        account = {"metadata": {"name": "default"}}
        await kube.request("POST", f"{ROOT}/serviceaccounts", body=account)
        await reads(kube)
        await concurrent_writes(kube, await writes(kube))
        await pods(kube)
        for plural in ("pods", "configmaps"):
            await kube.request("DELETE", f"{ROOT}/{plural}", body={"gracePeriodSeconds": 0})


def main() -> None:
    if len(sys.argv) > 1:
        asyncio.run(measure(Path(sys.argv[1])))
        return
    with embedded() as (kubeconfig, process):
        before = process.memory_full_info().pss / 1e6
        asyncio.run(measure(kubeconfig))
        after = process.memory_full_info().pss / 1e6
        print(f"memory (PSS)                {before:8.0f} MB at the start, {after:.0f} MB after {PODS} pods")


if __name__ == "__main__":
    main()
