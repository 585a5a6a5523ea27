"""docs/below-smi.md, as it stands: each example changes what callers see, is told in its status, and can be undone."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshlab.kube import ApiError, Object, load
from meshlab.kube.objects import CONFIG_MAP, PROXY_OVERLAY
from meshlab.lab.xds import xds

if TYPE_CHECKING:
    from tests.conftest import RunningLab
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

TEXT = (Path(__file__).parents[2] / "docs" / "below-smi.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
ASK = """
import http.client, os, urllib.request
for _ in range(6):
    with urllib.request.urlopen("http://bookstore.bookstore:14001/books-bought") as answer:
        print(answer.headers.get("%s", "-"))
"""


async def headers(demo: RunningLab, name: str) -> set[str]:
    """A header of a few answers that the bookbuyer gets."""
    command = ("exec", "-n", "bookbuyer", "deploy/bookbuyer", "-c", "bookbuyer", "--", "python", "-c", ASK % name)
    return set((await asyncio.to_thread(demo.kubectl, *command)).split())


async def status(story: Story, name: str, state: str) -> dict[str, Any]:
    """The status of an overlay, as soon as it says this."""
    async with asyncio.timeout(20):
        while True:
            overlay = await story.kube.get(PROXY_OVERLAY, name, "bookstore")
            if (found := overlay.get("status", {})).get("state") == state:
                return dict(found)
            await asyncio.sleep(0.05)


async def test_the_examples_change_what_callers_see(story: Story, demo: RunningLab) -> None:
    objects = [obj for text in EXAMPLES for obj in load(text)]
    await story.mode(permissive=True)
    try:
        for obj in objects:
            await story.kube.apply(obj, manager="story", force=True)
        for name in ("open-hours", "count-answers", "stamp"):
            told = await status(story, name, "Accepted")
            assert told["proxies"]["changed"] == told["proxies"]["selected"] >= 1
        assert await headers(demo, "x-open") == {"until-late"}
        assert await headers(demo, "x-stamped-by") == {"webassembly"}
        assert all(count.isdecimal() for count in await headers(demo, "x-answers"))
        await refusals(story)
        shown = await xds(story.kube, "bookstore-v1")
        assert {overlay for overlay, _ in shown.overlays} == {
            "bookstore/open-hours",
            "bookstore/count-answers",
            "bookstore/stamp",
        }
        assert "+  - header:" in str(shown) or "+response_headers_to_add" in str(shown)
        assert "PRIVATE KEY" not in str(shown.resources)
        last = shown.told[-1]
        assert last.milliseconds is not None
        assert {change.name for change in last.changes} <= {"inbound-listener", *shown.resources["Route"]}
    finally:
        for obj in reversed(objects):
            await story.kube.delete(await story.kube.kind_of(obj), obj["metadata"]["name"], "bookstore")
    async with asyncio.timeout(20):
        while await headers(demo, "x-open") != {"-"}:
            pass


async def refusals(story: Story) -> None:
    """A wrong overlay is not let in; code that becomes wrong later leaves the last good version in force."""
    (overlay,) = load(EXAMPLES[0])
    overlay["metadata"]["name"] = "wrong"
    overlay["spec"]["patches"][0]["operations"] = [{"op": "add", "path": "/virtual_hosts/0/domains", "value": []}]
    with pytest.raises(ApiError, match=r"ML604.*Domains"):
        await story.kube.apply(overlay, manager="story")
    code = {"binaryData": {"stamp.wasm": base64.b64encode(b"\0asm\1\0\0\0").decode()}}
    await story.kube.patch(CONFIG_MAP, "stamp", code, "bookstore")
    told = await status(story, "stamp", "Refused")
    assert told["inForce"] == "earlier"
    assert "Proxy-Wasm ABI" in told["reason"]


def module() -> tuple[str, Object]:
    (text,) = re.findall(r"^```wat\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    config_map = next(obj for example in EXAMPLES for obj in load(example) if "binaryData" in obj)
    return text, config_map


def test_the_module_is_what_its_text_says() -> None:
    wasmtime = pytest.importorskip("wasmtime")
    text, config_map = module()
    assert base64.b64decode(config_map["binaryData"]["stamp.wasm"]) == wasmtime.wat2wasm(text)
