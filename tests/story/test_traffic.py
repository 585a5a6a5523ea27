"""docs/traffic.md, as it stands: what its examples limit is limited, and what is wrong with one is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshlab.kube import ApiError, Object, load
from meshlab.kube.objects import UPSTREAM_TRAFFIC_SETTING

if TYPE_CHECKING:
    from tests.conftest import RunningLab
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

TEXT = (Path(__file__).parents[2] / "docs" / "traffic.md").read_text()
EXAMPLES = [obj for text in re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) for obj in load(text)]
BREAKER, RATES, RETRY, _ = EXAMPLES
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


async def calls(demo: RunningLab, service: str, count: int, at_once: int = 1, path: str = "/books-bought") -> dict:
    """What the bookbuyer's calls are answered, by status."""
    program = CALL % (service, path, at_once, count)
    command = ("exec", "-n", "bookbuyer", "deploy/bookbuyer", "-c", "bookbuyer", "--", "python", "-c", program)
    return dict(json.loads(await asyncio.to_thread(demo.kubectl, *command)))


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
    assert await calls(demo, "bookstore-v1", 10) == {"200": 3, "429": 7}
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
