"""Admission webhooks: which are asked about a change, what they see, and what their answer does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from .certificates import certificate
from .conftest import Answer, Server
from .waiting import until

GROUP = "/apis/admissionregistration.k8s.io/v1"
Reply = Callable[[dict[str, Any]], dict[str, Any]]


def allow(_request: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True}


def patching(*operations: dict[str, Any]) -> Reply:
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return lambda _request: {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def setting(key: str, value: str) -> Reply:
    return patching({"op": "add", "path": f"/data/{key}", "value": value})


@dataclass
class Hook:
    """A webhook server: each path is a webhook, whose reply a test sets."""

    server: Server
    namespace: str
    bundle: str
    context: ssl.SSLContext
    port: int = 0
    replies: dict[str, Reply] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    configured: list[str] = field(default_factory=list)

    async def serve(self, http: web.Request) -> web.Response:
        request = (await http.json())["request"]
        self.requests.append(request)
        response = self.replies[http.path](copy.deepcopy(request))
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return web.json_response({**review, "response": {"uid": request["uid"], **response}})

    def webhook(self, name: str, reply: Reply, **more: Any) -> dict[str, Any]:
        """A webhook for ConfigMaps of the test's namespace."""
        self.replies[f"/{name}"] = reply
        rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
        return {
            "name": f"{name}.hook.dev",
            "clientConfig": {"url": f"https://127.0.0.1:{self.port}/{name}", "caBundle": self.bundle},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **more,
        }

    async def configure(self, kind: str, *webhooks: dict[str, Any]) -> None:
        """Register webhooks and return when they are asked: a real server takes a moment."""
        name = f"hook-{uuid.uuid4().hex[:8]}"
        path = f"{GROUP}/{kind}webhookconfigurations"
        self.configured.append(f"{path}/{name}")
        probe = self.webhook("probe", allow)
        await self.server.made(path, {"metadata": {"name": name}, "webhooks": [probe, *webhooks]})

        async def is_asked() -> bool:
            self.requests.clear()
            await self.create("probe", dry_run=True)
            return bool(self.requests)

        await until(is_asked)
        self.requests.clear()

    async def create(self, name: str = "a", *, dry_run: bool = False, **metadata: Any) -> Answer:
        body = {"metadata": {"name": name, **metadata}, "data": {"color": "blue"}}
        return await self.server.post(f"{self.path}{'?dryRun=All' if dry_run else ''}", body)

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps"


@pytest.fixture
async def hook(server: Server, namespace: str, tmp_path: Path) -> AsyncIterator[Hook]:
    context, bundle = certificate(tmp_path)
    found = Hook(server, namespace, bundle, context)
    application = web.Application()
    application.router.add_post("/{name}", found.serve)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    found.port = runner.addresses[0][1]
    yield found
    for path in found.configured:
        await server.delete(path)
    await runner.cleanup()


async def test_a_mutating_webhook_changes_what_is_stored(hook: Hook) -> None:
    await hook.configure("mutating", hook.webhook("set", setting("size", "big")))
    assert (await hook.create()).body["data"] == {"color": "blue", "size": "big"}
    assert (await hook.server.get(f"{hook.path}/a")).body["data"]["size"] == "big"


async def test_a_webhook_is_told_what_is_asked_by_whom(hook: Hook) -> None:
    await hook.configure("validating", hook.webhook("look", allow))
    made = (await hook.create()).body
    changed = await hook.server.patch(f"{hook.path}/a", {"data": {"color": "red"}})
    await hook.server.delete(f"{hook.path}/a")
    seen = {request["operation"]: request for request in hook.requests if request["name"] == "a"}
    kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
    resource = {"group": "", "version": "v1", "resource": "configmaps"}
    create = seen["CREATE"]
    assert (create["kind"], create["requestKind"]) == (kind, kind)
    assert (create["resource"], create["requestResource"]) == (resource, resource)
    assert (create["namespace"], create["dryRun"], create["oldObject"]) == (hook.namespace, False, None)
    assert create["object"]["data"] == {"color": "blue"}
    assert create["options"]["kind"] == "CreateOptions"
    assert "system:masters" in create["userInfo"]["groups"]
    update = seen["UPDATE"]
    assert (update["object"]["data"], update["oldObject"]["data"]) == ({"color": "red"}, {"color": "blue"})
    assert update["object"]["metadata"]["uid"] == made["metadata"]["uid"]
    delete = seen["DELETE"]
    assert delete["object"] is None
    assert delete["oldObject"]["metadata"]["resourceVersion"] == changed.body["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("response", "code", "reason", "message"),
    [
        ({"status": {"message": "not today"}}, 400, None, ": not today"),
        ({"status": {"message": "no", "reason": "Forbidden", "code": 403}}, 403, "Forbidden", ": no"),
        ({"status": {"reason": "Because"}}, 400, "Because", ": Because"),
        ({}, 400, None, " without explanation"),
    ],
)
@pytest.mark.parametrize("kind", ["mutating", "validating"])
async def test_a_denial_is_told_in_the_webhook_s_words(
    hook: Hook, kind: str, response: dict[str, Any], code: int, reason: str | None, message: str
) -> None:
    await hook.configure(kind, hook.webhook("deny", lambda request: {"allowed": request["name"] != "a", **response}))
    answer = await hook.create()
    assert (answer.status, answer.body.get("reason")) == (code, reason)
    assert answer.message == f'admission webhook "deny.hook.dev" denied the request{message}'
    assert (await hook.server.get(f"{hook.path}/a")).status == 404


async def test_warnings_reach_the_client(hook: Hook) -> None:
    await hook.configure("validating", hook.webhook("warn", lambda _: {"allowed": True, "warnings": ["careful"]}))
    assert (await hook.create()).headers.getall("Warning") == ['299 - "careful"']


async def test_a_failing_webhook_stops_the_request_or_is_ignored(hook: Hook) -> None:
    broken = hook.webhook("broken", allow, failurePolicy="Ignore")
    broken["clientConfig"]["url"] = "https://127.0.0.1:1/broken"
    await hook.configure("validating", broken)
    assert (await hook.create()).status == 201
    strict = hook.webhook("strict", allow, failurePolicy="Fail", objectSelector={"matchLabels": {"check": "yes"}})
    strict["clientConfig"]["url"] = "https://127.0.0.1:1/strict"
    await hook.configure("validating", strict)
    answer = await hook.create("b", labels={"check": "yes"})
    assert (answer.status, answer.body["reason"]) == (500, "InternalError")
    said = 'Internal error occurred: failed calling webhook "strict.hook.dev": failed to call webhook: Post "https://127.0.0.1:1'
    assert answer.message.startswith(said)


async def test_a_slow_webhook_is_not_waited_for(hook: Hook) -> None:
    async def slow(_http: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await asyncio.Event().wait()
        writer.close()

    listener = await asyncio.start_server(slow, "127.0.0.1", 0, ssl=hook.context)
    webhook = hook.webhook("slow", allow, timeoutSeconds=1, objectSelector={"matchLabels": {"check": "yes"}})
    webhook["clientConfig"]["url"] = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/slow"
    await hook.configure("validating", webhook)
    answer = await hook.create(labels={"check": "yes"})
    assert answer.status == 500
    assert "context deadline exceeded" in answer.message
    listener.close()


async def test_webhooks_see_what_those_before_them_made(hook: Hook) -> None:
    first = hook.webhook("first", setting("one", "1"))
    second = hook.webhook("second", lambda request: setting("two", request["object"]["data"].get("one", "?"))(request))
    await hook.configure("mutating", first, second)
    assert (await hook.create()).body["data"] == {"color": "blue", "one": "1", "two": "1"}


async def test_a_webhook_is_asked_again_when_a_later_one_changed_the_object(hook: Hook) -> None:
    def count(request: dict[str, Any]) -> dict[str, Any]:
        return setting("seen", ",".join(sorted(request["object"]["data"])))(request)

    again = hook.webhook("again", count, reinvocationPolicy="IfNeeded")
    never = hook.webhook("never", setting("late", "1"))
    await hook.configure("mutating", again, never)
    assert (await hook.create()).body["data"]["seen"] == "color,late,seen"
    names = [request["name"] for request in hook.requests]
    assert names.count("a") == 4


async def test_object_selectors_choose_objects_old_and_new(hook: Hook) -> None:
    chosen = hook.webhook(
        "chosen", allow, objectSelector={"matchExpressions": [{"key": "check", "operator": "Exists"}]}
    )
    await hook.configure("validating", chosen)

    def asked() -> int:
        return sum(request["name"] == "b" for request in hook.requests) - probes

    await hook.create("b")
    probes = sum(request["name"] == "b" for request in hook.requests)
    await hook.server.patch(f"{hook.path}/b", {"metadata": {"labels": {"check": "yes"}}})
    assert asked() == 2
    await hook.server.patch(f"{hook.path}/b", {"metadata": {"labels": {"check": None}}})
    assert asked() == 4


async def test_rules_choose_operations_and_resources(hook: Hook) -> None:
    rule = {
        "operations": ["DELETE"],
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "resources": ["*"],
        "scope": "Namespaced",
    }
    await hook.configure("validating", hook.webhook("deletes", lambda _: {"allowed": False}, rules=[rule]))
    assert (await hook.create()).status == 201
    assert (await hook.server.delete(f"{hook.path}/a")).status == 400


async def test_a_dry_run_is_told(hook: Hook) -> None:
    await hook.configure("mutating", hook.webhook("look", allow))
    await hook.create("dry", dry_run=True)
    assert {request["dryRun"] for request in hook.requests} == {True}


async def test_a_patch_that_can_not_be_applied_is_an_error(hook: Hook) -> None:
    bad = patching({"op": "remove", "path": "/data/none"})
    webhook = hook.webhook("bad", bad, objectSelector={"matchLabels": {"check": "yes"}})
    await hook.configure("mutating", webhook)
    assert (await hook.create(labels={"check": "yes"})).status == 500


async def test_defaults_of_a_configuration_are_filled_in(hook: Hook) -> None:
    await hook.configure("mutating", hook.webhook("look", allow))
    found = (await hook.server.get(hook.configured[0])).body["webhooks"][1]
    wanted = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10, "reinvocationPolicy": "Never"}
    assert wanted.items() <= found.items()
    assert (found["objectSelector"], found["rules"][0]["scope"]) == ({}, "*")


@pytest.mark.parametrize(
    ("change", "field_", "message"),
    [
        (
            {"name": "ab"},
            "name",
            'Invalid value: "ab": should be a domain with at least three segments separated by dots',
        ),
        ({"sideEffects": None}, "sideEffects", "Required value: must specify one of None, NoneOnDryRun"),
        (
            {"timeoutSeconds": 60},
            "timeoutSeconds",
            "Invalid value: 60: the timeout value must be between 1 and 30 seconds",
        ),
        ({"clientConfig": {}}, "clientConfig", "Required value: exactly one of url or service is required"),
        ({"failurePolicy": "Foo"}, "failurePolicy", 'Unsupported value: "Foo": supported values: "Fail", "Ignore"'),
    ],
)
async def test_a_wrong_configuration_is_refused(hook: Hook, change: dict[str, Any], field_: str, message: str) -> None:
    webhook = {**hook.webhook("wrong", allow), **change}
    body = {"metadata": {"name": "wrong"}, "webhooks": [webhook]}
    answer = await hook.server.post(f"{GROUP}/mutatingwebhookconfigurations", body)
    assert (answer.status, answer.causes) == (422, [(f"webhooks[0].{field_}", message)])
