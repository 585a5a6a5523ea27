"""What do admission webhooks say about a change?

Mutating webhooks are asked one after the other, each seeing what the one before made of the object; those that
ask for it (`reinvocationPolicy: IfNeeded`) once more when a later one changed the object. Validating webhooks are
asked all at once.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonpatch

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.request import Attributes
from meshlab.cluster.embedded.apiserver.webhook_call import WebhookCaller, WebhookError, as_version, review_request
from meshlab.cluster.embedded.apiserver.webhook_match import Webhook, matching_row
from meshlab.kube import labels_of

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.dial import OpenSocket
    from meshlab.cluster.embedded.apiserver.registry import Registry, Resource
    from meshlab.cluster.embedded.apiserver.store import Store

_GROUP = "admissionregistration.k8s.io"


class Webhooks:
    """The caller of every webhook that is configured in a store."""

    def __init__(self, store: Store, registry: Registry, open_socket: OpenSocket) -> None:
        self._store = store
        self._registry = registry
        self._caller = WebhookCaller(store, open_socket)

    async def close(self) -> None:
        """Give the connections back."""
        await self._caller.close()

    async def mutate(self, attributes: Attributes, warnings: list[str]) -> dict[str, Any] | None:
        """The object after every mutating webhook. Raises the Status of a refusal."""
        obj = attributes.obj
        asked: list[tuple[Webhook, Any]] = []
        for webhook in self._configured("mutatingwebhookconfigurations"):
            row = self._concerns(webhook, attributes, obj)
            if row is not None:
                obj = await self._mutate(webhook, row, attributes, obj, warnings)
                asked.append((webhook, copy.deepcopy(obj)))
        for webhook, left in asked:
            row = self._concerns(webhook, attributes, obj)
            if webhook.get("reinvocationPolicy") == "IfNeeded" and left != obj and row is not None:
                obj = await self._mutate(webhook, row, attributes, obj, warnings)
        return obj

    async def validate(self, attributes: Attributes, warnings: list[str]) -> None:
        """Ask every validating webhook. Raises the Status of a refusal."""
        calls = []
        for webhook in self._configured("validatingwebhookconfigurations"):
            row = self._concerns(webhook, attributes, attributes.obj)
            if row is not None:
                calls.append(self._ask(webhook, row, attributes, attributes.obj, warnings))
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def _configured(self, plural: str) -> Iterator[Webhook]:
        for stored in self._store.list(f"{plural}.{_GROUP}"):
            yield from stored.obj.get("webhooks") or []

    def _concerns(self, webhook: Webhook, attributes: Attributes, obj: dict[str, Any] | None) -> Resource | None:
        now = replace(attributes, obj=obj)
        return matching_row(webhook, now, self._registry.all(), self._namespace_labels(now))

    def _namespace_labels(self, attributes: Attributes) -> Mapping[str, str] | None:
        if attributes.resource.group == "" and attributes.resource.plural == "namespaces":
            return labels_of(attributes.obj or attributes.old or {})
        if not attributes.namespace:
            return None
        namespace = self._store.get("namespaces", ("", attributes.namespace))
        return labels_of(namespace.obj) if namespace else {}

    async def _mutate(
        self,
        webhook: Webhook,
        row: Resource,
        attributes: Attributes,
        obj: dict[str, Any] | None,
        warnings: list[str],
    ) -> dict[str, Any] | None:
        response = await self._ask(webhook, row, attributes, obj, warnings)
        if not response.get("patch") or obj is None:
            return obj
        try:
            patch = jsonpatch.JsonPatch(json.loads(base64.b64decode(response["patch"], validate=True)))
            patched: dict[str, Any] = patch.apply(as_version(obj, row))
        except (binascii.Error, ValueError, jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
            raise status.internal(f"{error}") from error
        return as_version(patched, attributes.resource)

    async def _ask(
        self,
        webhook: Webhook,
        row: Resource,
        attributes: Attributes,
        obj: dict[str, Any] | None,
        warnings: list[str],
    ) -> Mapping[str, Any]:
        """The webhook's response when it allows the change (or fails and may be ignored)."""
        request = review_request(row, attributes, obj)
        try:
            response = await self._caller.call(webhook, request)
        except WebhookError as error:
            if webhook.get("failurePolicy") == "Ignore":
                return {}
            raise status.internal(f'failed calling webhook "{webhook["name"]}": {error}') from error
        warnings += [str(warning) for warning in response.get("warnings") or []]
        if not response["allowed"]:
            raise _denied(webhook["name"], response.get("status") or {})
        return response


def _denied(name: str, said: Mapping[str, Any]) -> status.StatusError:
    prefix = f'admission webhook "{name}" denied the request'
    message, reason = said.get("message"), said.get("reason")
    text = f"{prefix}: {message or reason}" if message or reason else f"{prefix} without explanation"
    code = said.get("code") or 400
    return status.StatusError(max(code, 400), reason or "", text, said.get("details"))
