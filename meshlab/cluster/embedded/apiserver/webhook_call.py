"""How is an admission webhook asked: an AdmissionReview over HTTPS, and its answer?"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import aiohttp

from meshlab.cluster.embedded.apiserver import tls
from meshlab.cluster.embedded.apiserver.dial import OpenSocket, connector
from meshlab.cluster.embedded.apiserver.endpoints import NoEndpointError, resolve

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.request import Attributes
    from meshlab.cluster.embedded.apiserver.store import Store
    from meshlab.cluster.embedded.apiserver.webhook_match import Webhook

_KIND = "AdmissionReview"
_API_VERSION = "admission.k8s.io/v1"


class WebhookError(Exception):
    """A webhook that gave no usable answer. What that means for the request, its failurePolicy says."""


class WebhookCaller:
    """Keeps connections to webhooks; Services are resolved anew for each call."""

    def __init__(self, store: Store, open_socket: OpenSocket) -> None:
        self._store = store
        self._open_socket = open_socket
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give the connections back."""
        if self._session:
            await self._session.close()

    async def call(self, webhook: Webhook, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The response part of a webhook's answer. Raises WebhookError when there is none that can be used."""
        seconds = webhook.get("timeoutSeconds", 10)
        config = webhook["clientConfig"]
        shown, url, server_name = self._target(config, seconds)
        review = {"kind": _KIND, "apiVersion": _API_VERSION, "request": request}
        try:
            context = tls.trusting(config.get("caBundle") or "")
        except tls.TrustError as error:
            raise WebhookError(str(error)) from error
        headers = {"Content-Type": "application/json", **({"Host": server_name} if server_name else {})}
        self._session = self._session or aiohttp.ClientSession(connector=connector(self._open_socket), trust_env=False)
        try:
            async with self._session.post(
                url,
                data=json.dumps(review).encode(),
                headers=headers,
                ssl=context,
                server_hostname=server_name,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as answer:
                body = await answer.read()
                if answer.status >= 300:
                    raise WebhookError(f"failed to call webhook: {_http_problem(answer.status, body)}")
        except TimeoutError as error:
            raise WebhookError(f'failed to call webhook: Post "{shown}": context deadline exceeded') from error
        except aiohttp.ClientConnectorError as error:
            why = f"dial tcp {error.host}:{error.port}: connect: {os.strerror(error.os_error.errno or 0).lower()}"
            raise WebhookError(f'failed to call webhook: Post "{shown}": {why}') from error
        except aiohttp.ClientError as error:
            raise WebhookError(f'failed to call webhook: Post "{shown}": {error}') from error
        return _response(body, str(request["uid"]))

    def _target(self, config: Mapping[str, Any], seconds: int) -> tuple[str, str, str | None]:
        """The address as shown in messages, the one to call, and the name its certificate should carry."""
        query = f"?timeout={seconds}s"
        service = config.get("service")
        if not service:
            return config["url"] + query, config["url"] + query, None
        path = "/" + (service.get("path") or "").lstrip("/")
        port = service.get("port", 443)
        shown = f"https://{service['name']}.{service['namespace']}.svc:{port}{path}{query}"
        try:
            endpoint = resolve(self._store, service["namespace"], service["name"], port)
        except NoEndpointError as error:
            raise WebhookError(f'failed to call webhook: Post "{shown}": {error}') from error
        return shown, f"https://{endpoint.address}:{endpoint.port}{path}{query}", endpoint.server_name


def as_version(obj: dict[str, Any], row: Resource) -> dict[str, Any]:
    """An object in another version of its kind."""
    return obj if obj.get("apiVersion") == row.api_version else {**obj, "apiVersion": row.api_version}


def review_request(row: Resource, attributes: Attributes, obj: dict[str, Any] | None) -> dict[str, Any]:
    """What a webhook is told about a change: the request of an AdmissionReview, in the version of `row`."""
    asked, user, part = attributes.resource, attributes.user, attributes.subresource
    sub = asked.subresource(part) if part else None
    kind = sub.kind if sub else row.kind
    old = attributes.old
    return {
        "uid": str(uuid.uuid4()),
        "kind": {"group": row.group, "version": row.version, "kind": kind},
        "resource": {"group": row.group, "version": row.version, "resource": row.plural},
        **({"subResource": part} if part else {}),
        "requestKind": {"group": asked.group, "version": asked.version, "kind": kind},
        "requestResource": {"group": asked.group, "version": asked.version, "resource": asked.plural},
        **({"requestSubResource": part} if part else {}),
        "name": attributes.name,
        **({"namespace": attributes.namespace} if attributes.namespace else {}),
        "operation": attributes.operation,
        "userInfo": {
            "username": user.name,
            **({"uid": user.uid} if user.uid else {}),
            "groups": list(user.groups),
            **({"extra": dict(user.extra)} if user.extra else {}),
        },
        "object": as_version(obj, row) if obj is not None else None,
        "oldObject": as_version(old, row) if old is not None else None,
        "dryRun": attributes.dry_run,
        "options": dict(attributes.options) or None,
    }


def _response(body: bytes, uid: str) -> Mapping[str, Any]:
    try:
        review = json.loads(body)
    except ValueError as error:
        raise WebhookError(f"failed to call webhook: {error}") from error
    response = review.get("response") if isinstance(review, dict) else None
    if not isinstance(response, dict):
        raise WebhookError("received invalid webhook response: webhook response was absent")
    if review.get("apiVersion") != _API_VERSION or review.get("kind") != _KIND:
        found = f"{review.get('apiVersion', '')}, Kind={review.get('kind', '')}"
        expected = f"{_API_VERSION}, Kind={_KIND}"
        raise WebhookError(f"received invalid webhook response: expected webhook response of {expected}, got {found}")
    if response.get("uid") != uid:
        message = f'expected response.uid="{uid}", got "{response.get("uid", "")}"'
        raise WebhookError(f"received invalid webhook response: {message}")
    if response.get("patch") and response.get("patchType") != "JSONPatch":
        raise WebhookError("received invalid webhook response: webhook returned response.patch but not JSONPatch")
    return {"allowed": False, **response}


def _http_problem(code: int, body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    if code >= 500:
        return f'an error on the server ("{text or "unknown"}") has prevented the request from succeeding'
    return "the server could not find the requested resource" if code == 404 else f"the server answered {code}"
