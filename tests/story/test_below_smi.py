"""docs/below-smi.md, as it stands: each example changes what callers see, is told in its status, and can be undone."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from wasmtime import wat2wasm

from meshlab.cli.main import main
from meshlab.kube import ApiError, Object, load
from meshlab.kube.objects import CONFIG_MAP, PROXY_OVERLAY
from meshlab.lab.xds import xds

if TYPE_CHECKING:
    from tests.conftest import RunningLab
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

TEXT = (Path(__file__).parents[2] / "docs" / "below-smi.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
CALL = ("exec", "-n", "bookbuyer", "deploy/bookbuyer", "-c", "bookbuyer", "--", "python", "-c")
ASK = """
import json, urllib.request
for _ in range(6):
    with urllib.request.urlopen("http://%s.bookstore:14001/books-bought") as answer:
        print(json.dumps({name.lower(): value for name, value in answer.headers.items()}))
"""
ASK_V2 = """
import urllib.error, urllib.request
try:
    urllib.request.urlopen("http://bookstore-v2.bookstore:14001/books-bought")
except urllib.error.HTTPError as error:
    assert error.code == 503
else:
    raise AssertionError("the module did not trap")
"""


async def answers(demo: RunningLab, service: str = "bookstore") -> list[dict[str, str]]:
    """The headers of a few answers that the bookbuyer gets."""
    said = await asyncio.to_thread(demo.kubectl, *CALL, ASK % service)
    return [json.loads(line) for line in said.splitlines()]


async def status(story: Story, name: str, state: str) -> dict[str, Any]:
    """The status of an overlay, as soon as it says this."""
    async with asyncio.timeout(20):
        while True:
            stored = await story.kube.get(PROXY_OVERLAY, name, "bookstore")
            if (found := stored.get("status", {})).get("state") == state:
                return dict(found)
            await asyncio.sleep(0.05)


async def test_the_examples_change_what_callers_see(
    story: Story, demo: RunningLab, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = [obj for text in EXAMPLES for obj in load(text)]
    await story.mode(permissive=True)
    try:
        for obj in objects:
            await story.kube.apply(obj, manager="story", force=True)
        for name in ("open-hours", "count-answers", "stamp"):
            told = await status(story, name, "Accepted")
            assert told["proxies"]["changed"] == told["proxies"]["selected"] >= 1
        for headers in await answers(demo):
            assert headers["x-open"] == "until-late"
            assert headers["x-stamped-by"] == "webassembly"
            assert int(headers["x-answers"]) > 0
        await refusals(story)
        shown = await xds(story.kube, "bookstore-v1")
        assert {overlay for overlay, _ in shown.overlays} == {
            "bookstore/open-hours",
            "bookstore/count-answers",
            "bookstore/stamp",
        }
        assert "+  - header:" in str(shown) or "+response_headers_to_add" in str(shown)
        assert "PRIVATE KEY" not in str(shown.resources)
        asked = ["xds", "bookstore-v1", "inbound-listener", "--name", demo.name]
        assert await asyncio.to_thread(main, asked) == 0
        assert "local answers = 0" in capsys.readouterr().out
        last = next(told for told in reversed(shown.told) if any("stamp" in cause for cause in told.because))
        assert last.milliseconds is not None
        assert {change.name for change in last.changes} <= {"inbound-listener", *shown.resources["Route"]}
    finally:
        for obj in reversed(objects):
            await story.kube.delete(await story.kube.kind_of(obj), obj["metadata"]["name"], "bookstore")
    async with asyncio.timeout(20):
        while any("x-open" in headers for headers in await answers(demo)):
            pass


async def refusals(story: Story) -> None:
    """A wrong overlay is not let in; code that becomes wrong later leaves the last good version in force."""
    (wrong,) = load(EXAMPLES[0])
    wrong["metadata"]["name"] = "wrong"
    wrong["spec"]["patches"][0]["operations"] = [{"op": "add", "path": "/virtual_hosts/0/domains", "value": []}]
    with pytest.raises(ApiError, match=r"ML604.*Domains"):
        await story.kube.apply(wrong, manager="story")
    code = {"binaryData": {"stamp.wasm": base64.b64encode(b"\0asm\1\0\0\0").decode()}}
    await story.kube.patch(CONFIG_MAP, "stamp", code, "bookstore")
    told = await status(story, "stamp", "Refused")
    assert told["inForce"] == "earlier"
    assert "Proxy-Wasm ABI" in told["reason"]


async def test_what_a_proxy_refuses_or_fails_at_is_told_and_harms_nobody_else(story: Story, demo: RunningLab) -> None:
    wrong = (elsewhere(), *trap())
    await story.mode(permissive=True)
    try:
        for obj in wrong:
            await story.kube.apply(obj, manager="story", force=True)
        refused = await status(story, "elsewhere", "Refused")
        assert refused["inForce"] == "nothing"
        assert "192.0.2.1" in refused["reason"]
        await asyncio.to_thread(demo.kubectl, *CALL, ASK_V2)
        failing = await status(story, "trap", "Failing")
        assert failing["reason"].startswith("ML606 spec.filters[0]: trap failed in the proxy of bookstore/bookstore-v2")
        assert {headers["identity"] for headers in await answers(demo, "bookstore-v1")} == {"bookstore-v1"}
    finally:
        for obj in reversed(wrong):
            await story.kube.delete(await story.kube.kind_of(obj), obj["metadata"]["name"], "bookstore")


def elsewhere() -> Object:
    """An address that no pod has: only a proxy that tries to listen there finds out."""
    move = {"op": "replace", "path": "/address/socket_address/address", "value": "192.0.2.1"}
    patch = {"kind": "Listener", "name": "inbound-listener", "operations": [move]}
    return overlay("elsewhere", "bookstore", patches=[patch])


def trap() -> tuple[Object, Object]:
    """A module that traps on each request, for one version of the store."""
    text, config_map = module()
    traps = text.replace("proxy_on_response_headers", "proxy_on_request_headers").replace("(drop", "unreachable (drop")
    code = base64.b64encode(wat2wasm(traps)).decode()
    filters = [{"name": "trap", "direction": "inbound", "wasm": {"configMap": "trap", "key": "trap.wasm"}}]
    metadata = {**config_map["metadata"], "name": "trap"}
    code_map = {**config_map, "metadata": metadata, "binaryData": {"trap.wasm": code}}
    return code_map, overlay("trap", "bookstore", "v2", filters=filters)


def overlay(name: str, app: str, version: str = "v1", **spec: Any) -> Object:
    """A ProxyOverlay for one version of an app."""
    return {
        "apiVersion": PROXY_OVERLAY.api_version,
        "kind": PROXY_OVERLAY.kind,
        "metadata": {"name": name, "namespace": "bookstore"},
        "spec": {"selector": {"matchLabels": {"app": app, "version": version}}, **spec},
    }


def module() -> tuple[str, Object]:
    (text,) = re.findall(r"^```wat\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    config_map = next(obj for example in EXAMPLES for obj in load(example) if "binaryData" in obj)
    return text, config_map


def test_the_module_is_what_its_text_says() -> None:
    text, config_map = module()
    assert base64.b64decode(config_map["binaryData"]["stamp.wasm"]) == wat2wasm(text)
