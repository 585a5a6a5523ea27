"""The stock behind the warehouse: a real server that speaks TCP, reached by those who may and by nobody else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshlab.kube import load
from meshlab.kube.objects import POD, SERVICE, TCP_ROUTE

if TYPE_CHECKING:
    from tests.conftest import RunningLab
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

ASK = """
import sys
from meshlab.apps.caller import call
from meshlab.apps.valkey import ask
print(call("GET", "http://bookstore.bookstore:14001/buy-a-book/new", {}).status)
print(call("POST", "http://bookwarehouse.bookwarehouse:14001/restock-books", {}, b"1").status)
for host in sys.argv[1:]:
    try:
        print(ask((host, 6379), "PING"))
    except OSError as error:
        print("refused")
"""
SHUT_DOWN = "import sys; from meshlab.apps.valkey import ask; ask((sys.argv[1], 6379), 'SHUTDOWN')"
DOCS = Path(__file__).parents[2] / "docs" / "tcp.md"
HEADLESS = ("stock-pods.bookwarehouse", "stock-0.stock-pods.bookwarehouse")


async def stock_ip(story: Story) -> str:
    return str((await story.kube.get(SERVICE, "stock", "bookwarehouse"))["spec"]["clusterIP"])


async def asks(demo: RunningLab, deployment: str, *stocks: str) -> list[str]:
    """What an app's pod gets from the store, from the warehouse, and from the stock by each of these names."""
    app = deployment.partition("-")[0]
    command = ("exec", "-n", app, f"deploy/{deployment}", "-c", app, "--", "python", "-c", ASK, *stocks)
    return (await asyncio.to_thread(demo.kubectl, *command)).split()


async def test_each_is_reached_by_the_one_that_needs_it_and_nobody_else(story: Story, demo: RunningLab) -> None:
    stock = await stock_ip(story)
    apps = ("bookbuyer", "bookthief", "bookstore-v1", "bookwarehouse")
    assert await asks(demo, "bookthief", stock) == ["200", "200", "PONG"], "in permissive mode all is open"
    await story.mode(permissive=False)
    # on loopback addresses nothing brings a TCP connection to the proxy, so nothing can refuse it
    refused = "PONG" if demo.network == "loopback" else "refused"
    assert await asks(demo, "bookwarehouse", stock) == ["403", "403", refused]
    await story.policies()
    found = dict(zip(apps, await asyncio.gather(*(asks(demo, app, stock) for app in apps)), strict=True))
    assert found == {
        "bookbuyer": ["200", "403", refused],
        "bookthief": ["403", "403", refused],
        "bookstore-v1": ["403", "200", refused],
        "bookwarehouse": ["403", "403", "PONG"],
    }


async def test_a_tcp_route_opens_its_port_by_every_name_and_no_other_port(story: Story, demo: RunningLab) -> None:
    if demo.network == "loopback":
        pytest.skip("on loopback addresses TCP goes past the proxy, and says so")
    await story.mode(permissive=False)
    await story.policies()
    stocks = (await stock_ip(story), *HEADLESS)
    for port, answer in ((6380, "refused"), (6379, "PONG")):
        patch = {"spec": {"matches": {"ports": [port]}}}
        await story.told(await story.kube.patch(TCP_ROUTE, "stock-port", patch, "bookwarehouse"))
        assert (await asks(demo, "bookwarehouse", *stocks))[2:] == [answer] * 3
    assert (await asks(demo, "bookstore-v1", *stocks))[1:] == ["200"] + ["refused"] * 3


async def test_the_example_of_the_docs_lets_the_store_in_and_out_again(story: Story, demo: RunningLab) -> None:
    await story.mode(permissive=False)
    await story.policies()
    stock = await stock_ip(story)
    example = load("".join(re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)))
    for obj in example:
        await story.apply(obj)
    assert (await asks(demo, "bookstore-v1", stock))[2] == "PONG"
    for obj in example:
        await story.delete(obj)
    assert (await asks(demo, "bookstore-v1", stock))[2] == ("PONG" if demo.network == "loopback" else "refused")


async def test_the_stock_outlives_its_server(story: Story, demo: RunningLab) -> None:
    async def restarts() -> int:
        pod = await story.kube.get(POD, "stock-0", "bookwarehouse")
        return int(pod["status"]["containerStatuses"][0]["restartCount"])

    async def counts_on() -> bool:
        raw = await story.raw("bookwarehouse")
        return await restarts() > restarted and "last" not in raw and raw["books"] > before

    before, restarted = (await story.raw("bookwarehouse"))["books"], await restarts()
    command = ("exec", "-n", "bookwarehouse", "deploy/bookwarehouse", "-c", "bookwarehouse", "--")
    stock = await stock_ip(story)
    await asyncio.to_thread(demo.kubectl, *command, "python", "-c", SHUT_DOWN, stock, check=False)
    await story.until(counts_on, "the stock is there again, with all that was in it")
