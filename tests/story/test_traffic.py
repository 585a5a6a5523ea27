"""docs/traffic.md, as it stands: what its examples limit is limited, and what is wrong with one is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshlab.kube import ApiError, Object, load
from meshlab.kube.objects import MESH_CONFIG, UPSTREAM_TRAFFIC_SETTING

if TYPE_CHECKING:
    from tests.conftest import RunningLab
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

TEXT = (Path(__file__).parents[2] / "docs" / "traffic.md").read_text()
EXAMPLES = [obj for text in re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) for obj in load(text)]
BREAKER, RATES, RETRY, _ = EXAMPLES
HELPER = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: helpers}}
---
apiVersion: v1
kind: Service
metadata: {{name: helper, namespace: helpers}}
spec:
  selector: {{app: helper}}
  ports: [{{name: traces, port: 9411}}, {{name: authorization, port: 9191}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: helper, namespace: helpers}}
spec:
  selector: {{matchLabels: {{app: helper}}}}
  template:
    metadata: {{labels: {{app: helper}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: helper
        image: IMAGE
        command: {json.dumps(["python", "-c", (Path(__file__).parent / "helper.py").read_text()])}
        readinessProbe: {{tcpSocket: {{port: 9411}}, periodSeconds: 1}}
"""
ASKED = {"enable": True, "address": "helper.helpers.svc.cluster.local", "port": 9191, "timeout": "5s"}
TOLD = {"enable": True, "address": "helper.helpers", "port": 9411}
TICKETS = """
import urllib.error, urllib.request
for ticket in ("good", "none"):
    try:
        request = urllib.request.Request("http://bookstore.bookstore:14001/buy-a-book/new", headers={"ticket": ticket})
        print(urllib.request.urlopen(request).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""
CALL = """
import collections, concurrent.futures, json, urllib.error, urllib.request
def call(_):
    try:
        return urllib.request.urlopen("http://%s.bookstore:14001%s").status
    except urllib.error.HTTPError as error:
        return error.code
with concurrent.futures.ThreadPoolExecutor(%d) as pool:
    print(json.dumps(collections.Counter(pool.map(call, range(%d)))))
"""


async def run(demo: RunningLab, program: str) -> str:
    """What a program prints that runs beside the bookbuyer."""
    command = ("exec", "-n", "bookbuyer", "deploy/bookbuyer", "-c", "bookbuyer", "--", "python", "-c", program)
    return await asyncio.to_thread(demo.kubectl, *command)


async def calls(demo: RunningLab, service: str, count: int, at_once: int = 1, path: str = "/books-bought") -> dict:
    """What the bookbuyer's calls are answered, by status."""
    return dict(json.loads(await run(demo, CALL % (service, path, at_once, count))))


@pytest.fixture
async def applied(calm: Story) -> AsyncIterator[Story]:
    """The examples are in force; but not the MeshConfig, which asks services that are not there."""
    objects: list[Object] = [BREAKER, RATES, RETRY]
    for obj in objects:
        await calm.apply(obj)
    yield calm
    for obj in objects:
        await calm.delete(obj)


async def test_the_examples_limit_what_they_say(applied: Story, demo: RunningLab) -> None:
    answers = await calls(demo, "bookstore-v1", 10)
    # a connection from before the limit takes one call more, whose answer closes it
    assert answers in ({"200": 3, "429": 7}, {"200": 4, "429": 6})
    assert await calls(demo, "bookstore-v1", 2, path="/buy-a-book/new") == {"200": 1, "503": 1}
    answers = await calls(demo, "bookstore-v2", 50, at_once=5)
    assert set(answers) == {"200", "503"}
    assert await calls(demo, "bookstore", 5, at_once=5) == {"200": 5}


async def test_a_setting_tells_whether_it_holds_and_a_second_for_its_host_is_refused(applied: Story) -> None:
    async def committed() -> bool:
        stored = await applied.kube.list(UPSTREAM_TRAFFIC_SETTING, "bookstore")
        return {obj.get("status", {}).get("currentStatus") for obj in stored} == {"committed"}

    await applied.until(committed, "both settings are committed")
    second = RATES | {"metadata": {"name": "second", "namespace": "bookstore"}}
    with pytest.raises(ApiError, match=r"ML310.*bookstore/three-a-minute already speaks of bookstore-v1"):
        await applied.kube.apply(second)


@pytest.fixture
async def helped(calm: Story, demo: RunningLab) -> AsyncIterator[Story]:
    """Every proxy asks the helper, and tells it what it does."""

    def kubectl(*arguments: str) -> str:
        return demo.kubectl(*arguments, stdin=HELPER.replace("IMAGE", demo.image))

    async def settings(asked: dict | None, told: dict | None) -> None:
        spec = {"traffic": {"inboundExternalAuthorization": asked}, "observability": {"tracing": told}}
        await calm.told(await calm.kube.patch(MESH_CONFIG, "meshlab-mesh-config", {"spec": spec}, "meshlab-system"))

    await asyncio.to_thread(kubectl, "apply", "-f", "-")
    try:
        await asyncio.to_thread(kubectl, "rollout", "status", "deployment/helper", "-n", "helpers", "--timeout=60s")
        await settings(ASKED, TOLD)
        yield calm
    finally:
        await settings(None, None)
        await asyncio.to_thread(kubectl, "delete", "-f", "-", "--wait=false")


async def test_a_helper_in_the_cluster_is_asked_about_requests_and_told_of_them(
    helped: Story, demo: RunningLab
) -> None:
    async def refused_without_a_ticket() -> bool:
        return await run(demo, TICKETS) == "200\n403\n"

    async def one_trace_through_three() -> bool:
        spans = [line.split() for line in demo.kubectl("logs", "-n", "helpers", "deploy/helper").splitlines()]
        tellers = defaultdict(set)
        for trace, teller in spans:
            tellers[trace].add(teller)
        through = {"bookbuyer/bookbuyer", "bookstore/bookstore", "bookwarehouse/bookwarehouse"}
        return any(told >= through for told in tellers.values())

    await helped.until(refused_without_a_ticket, "open connections between proxies are drained")
    await helped.until(one_trace_through_three, "a sale is one trace, from the buyer to the warehouse")
