"""How does one ask the Kubernetes API for any kind of object, as plain JSON?

The official client does the transport, TLS and credentials; this adds one thing it lacks: the same five
verbs for every kind, built in or custom, on dictionaries.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config
from kubernetes.aio.config.config_exception import ConfigException

from meshlab.errors import ClusterError, PolicyError
from meshlab.kube.objects import Kind, Object, Ref

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

CONTAINER_ROOT = "MESHLAB_CONTAINER_ROOT"
"""Set by a node that can't mount: the folder under which a container finds its volumes."""

_CREDENTIALS = "var/run/secrets/kubernetes.io/serviceaccount"


class ApiError(ClusterError):
    """The API server answered with a Status that says no. `status` is the HTTP code, `reason` Kubernetes' word."""

    def __init__(self, status: int, body: Mapping[str, Any], about: str) -> None:
        self.status = status
        self.reason: str = body.get("reason") or HTTPStatus(status).phrase
        self.message: str = body.get("message") or self.reason
        self.details: Mapping[str, Any] = body.get("details") or {}
        super().__init__("ML190", f"{self.message} ({status} {self.reason})", about=about)


def container_path(path: str) -> Path:
    """Where a path of the container's file system is, on a node that mounts and on one that can't."""
    return Path(os.environ.get(CONTAINER_ROOT, "/")) / path.lstrip("/")


class Kube:
    """A connection to one cluster. Use as `async with await Kube.connect() as kube`."""

    def __init__(self, configuration: Configuration) -> None:
        self._client = ApiClient(configuration)
        self._kinds: dict[tuple[str, str], Kind] = {}

    @classmethod
    async def connect(cls, kubeconfig: str | Path | None = None, context: str | None = None) -> Self:
        """To the cluster that a kubeconfig names (default: kubectl's own rules).

        Raises ClusterError ML191 when the file or the context can't be used.
        """
        configuration = Configuration()
        try:
            await load_kube_config(
                config_file=str(kubeconfig) if kubeconfig else None, context=context, client_configuration=configuration
            )
        except (ConfigException, OSError) as error:
            raise ClusterError("ML191", str(error), about=f"kubeconfig {kubeconfig or 'default'}") from error
        return cls(configuration)

    @classmethod
    def in_cluster(cls) -> Self:
        """From inside a pod, as the pod's service account."""
        folder = container_path(_CREDENTIALS)
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        configuration = Configuration()
        configuration.host = f"https://{host}:{port}"
        configuration.ssl_ca_cert = str(folder / "ca.crt")

        def refresh(config: Configuration) -> None:
            config.api_key["BearerToken"] = f"Bearer {(folder / 'token').read_text().strip()}"

        # The hook is asked before each request, but only when there is a token already.
        refresh(configuration)
        configuration.refresh_api_key_hook = refresh
        return cls(configuration)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    @property
    def url(self) -> str:
        """Where the API server is."""
        return str(self._client.configuration.host)

    @property
    def certificate_authority(self) -> str:
        """The certificates (PEM) that the API server's own is checked against."""
        configuration = self._client.configuration
        if configuration.ca_cert_data:
            return str(configuration.ca_cert_data)
        return Path(configuration.ssl_ca_cert).read_text() if configuration.ssl_ca_cert else ""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        about: str = "",
    ) -> Any:
        """One request; the parsed JSON answer. Raises ApiError for a refusal, ClusterError ML191 for silence."""
        async with await self._send(method, path, query, body, content_type, timeout=60) as response:
            text = await response.text()
            self._raise_for_status(response.status, text, about or f"{method} {path}")
            return json.loads(text) if text else None

    async def text(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        """The body of a GET as text: logs, /metrics, /readyz."""
        async with await self._send("GET", path, query, None, "application/json", timeout=60) as response:
            text = await response.text()
            self._raise_for_status(response.status, text, path)
            return text

    async def lines(self, path: str, query: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """The lines of a GET that stays open: a watch, a followed log."""
        response = await self._send("GET", path, query, None, "application/json", timeout=None)
        try:
            if response.status >= HTTPStatus.BAD_REQUEST:
                self._raise_for_status(response.status, await response.text(), path)
            pending = b""
            async for chunk in response.content.iter_any():
                *whole, pending = (pending + chunk).split(b"\n")
                for line in whole:
                    yield line + b"\n"
            if pending:
                yield pending
        except aiohttp.ClientPayloadError as error:
            raise ClusterError("ML191", "the answer broke off", about=self.url, hint="meshlab status") from error
        finally:
            response.close()

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        """One object. Raises ApiError 404 when there is none."""
        about = str(Ref(kind.kind, name, namespace))
        return await self.request("GET", kind.path(namespace, name), about=about)  # type: ignore[no-any-return]

    async def find(self, kind: Kind, name: str, namespace: str = "") -> Object | None:
        """One object, or None when there is none."""
        try:
            return await self.get(kind, name, namespace)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Object]:
        """All objects of a kind, in one namespace or in all; apiVersion and kind filled in."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        answer = await self.request("GET", kind.path(namespace), query={k: v for k, v in query.items() if v})
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in answer.get("items") or []]

    async def create(self, obj: Object) -> Object:
        """Create an object. Raises ApiError 409 when it exists."""
        kind, ref = await self.kind_of(obj), Ref.of(obj)
        path = kind.path(self._namespace(kind, ref))
        return await self.request("POST", path, body=obj, about=str(ref))  # type: ignore[no-any-return]

    async def replace(self, obj: Object, *, subresource: str | None = None) -> Object:
        """PUT an object (or its status). A stale resourceVersion is ApiError 409."""
        kind, ref = await self.kind_of(obj), Ref.of(obj)
        path = kind.path(self._namespace(kind, ref), ref.name, subresource)
        return await self.request("PUT", path, body=obj, about=str(ref))  # type: ignore[no-any-return]

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Any,
        namespace: str = "",
        *,
        content_type: str = MERGE_PATCH,
        subresource: str | None = None,
    ) -> Object:
        """PATCH an object; a merge patch unless told otherwise."""
        path, about = kind.path(namespace, name, subresource), str(Ref(kind.kind, name, namespace))
        return await self.request("PATCH", path, body=body, content_type=content_type, about=about)  # type: ignore[no-any-return]

    async def apply(
        self, obj: Object, *, manager: str = "meshlab", force: bool = False, dry_run: bool = False
    ) -> Object:
        """Server-side apply. Without `force` a field owned by another manager is ApiError 409."""
        kind, ref = await self.kind_of(obj), Ref.of(obj)
        query: dict[str, Any] = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        path = kind.path(self._namespace(kind, ref), ref.name)
        return await self.request(  # type: ignore[no-any-return]
            "PATCH", path, query=query, body=obj, content_type=APPLY_PATCH, about=str(ref)
        )

    async def delete(self, kind: Kind, name: str, namespace: str = "", *, propagation: str = "Background") -> None:
        """Delete an object; no error when it is gone already."""
        try:
            await self.request(
                "DELETE",
                kind.path(namespace, name),
                query={"propagationPolicy": propagation},
                about=f"{kind.kind} {name}",
            )
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def kind_of(self, obj: Mapping[str, Any]) -> Kind:
        """How the cluster serves an object's kind. Raises PolicyError ML203 when it doesn't."""
        wanted = (str(obj.get("apiVersion")), str(obj.get("kind")))
        if wanted not in self._kinds:
            await self._discover(wanted[0])
        if wanted not in self._kinds:
            known = sorted(kind for version, kind in self._kinds if version == wanted[0])
            hint = f"it serves {', '.join(known)}" if known else "kubectl api-resources lists what it serves"
            raise PolicyError(
                "ML203", f"the cluster serves no {wanted[1]} of {wanted[0]}", about=str(Ref.of(obj)), hint=hint
            )
        return self._kinds[wanted]

    async def _discover(self, api_version: str) -> None:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            found = await self.request("GET", root)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return
            raise
        for row in found["resources"]:
            if "/" not in row["name"]:
                kind = Kind(api_version, row["kind"], row["name"], row["namespaced"])
                self._kinds[api_version, row["kind"]] = kind

    @staticmethod
    def _namespace(kind: Kind, ref: Ref) -> str:
        return (ref.namespace or "default") if kind.namespaced else ""

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        content_type: str,
        timeout: float | None,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=10)
        try:
            answer = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=limit
            )
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            hint = "meshlab status"
            raise ClusterError("ML191", f"{error or 'no answer'}", about=self.url, hint=hint) from error
        response: aiohttp.ClientResponse = answer.response
        return response

    @staticmethod
    def _raise_for_status(status: int, text: str, about: str) -> None:
        if status < HTTPStatus.BAD_REQUEST:
            return
        try:
            body = json.loads(text)
        except json.JSONDecodeError:
            body = {"message": text[:500]}
        raise ApiError(status, body if isinstance(body, dict) else {"message": text[:500]}, about)
