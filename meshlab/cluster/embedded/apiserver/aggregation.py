"""Which parts of the API does another server answer? Those that an APIService with a Service behind it claims."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import aiohttp

from meshlab.cluster.embedded.apiserver import metadata, status, tls
from meshlab.cluster.embedded.apiserver.endpoints import NoEndpointError, resolve
from meshlab.cluster.embedded.apiserver.forward import user_headers
from meshlab.cluster.embedded.apiserver.store import VersionConflictError

if TYPE_CHECKING:
    from aiohttp import web

    from meshlab.cluster.embedded.apiserver.endpoints import Endpoint
    from meshlab.cluster.embedded.apiserver.forward import Forwarder
    from meshlab.cluster.embedded.apiserver.pki import Pki
    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.store import Store

log = logging.getLogger(__name__)

COLLECTION = "apiservices.apiregistration.k8s.io"

_CHECKED = (COLLECTION, "services", "endpointslices.discovery.k8s.io")
_CHECK_SECONDS = 10.0
_AS_AGGREGATOR = {"X-Remote-User": "system:kube-aggregator", "X-Remote-Group": "system:masters"}
_UNAVAILABLE = "the server is currently unable to handle the request"


class Aggregator:
    """Passes requests on, and keeps each APIService's condition `Available`."""

    def __init__(self, store: Store, pki: Pki, forwarder: Forwarder) -> None:
        self._store = store
        self._pki = pki
        self._forwarder = forwarder
        self._resources: dict[str, dict[str, Any]] = {}
        self._checking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to check what is registered."""
        self._checking = asyncio.create_task(self._check_forever(), name="aggregated APIs")

    async def stop(self) -> None:
        """Check no more."""
        if self._checking:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)

    def claims(self, group: str, version: str) -> dict[str, Any] | None:
        """The APIService that has another server answer for a group version."""
        stored = self._store.get(COLLECTION, ("", f"{version}.{group}"))
        return stored.obj if stored and stored.obj["spec"].get("service") else None

    def group_versions(self) -> dict[str, list[str]]:
        """The versions of each group that other servers answer for."""
        found: dict[str, list[str]] = {}
        for service in self._remote():
            found.setdefault(service["spec"]["group"], []).append(service["spec"]["version"])
        return found

    def discovered(self) -> list[dict[str, Any]]:
        """Their resources, as items of aggregated discovery."""
        items: dict[str, dict[str, Any]] = {}
        for service in self._remote():
            spec = service["spec"]
            listed = self._resources.get(service["metadata"]["name"])
            version = {
                "version": spec["version"],
                "resources": _as_discovery(listed["resources"], spec) if listed else [],
                "freshness": "Current" if listed else "Stale",
            }
            item = items.setdefault(spec["group"], {"metadata": {"name": spec["group"]}, "versions": []})
            item["versions"].append(version)
        return list(items.values())

    async def proxy(self, call: Call, service: Mapping[str, Any]) -> web.StreamResponse:
        """Have the server behind an APIService answer. Raises 503 when it can't."""
        try:
            endpoint, context = self._target(service["spec"])
        except (NoEndpointError, tls.TrustError) as error:
            log.info("%s: %s", service["metadata"]["name"], error)
            raise status.unavailable(_UNAVAILABLE) from error
        return await self._forwarder.forward(
            call.http,
            f"https://{endpoint.address}:{endpoint.port}{call.http.raw_path}",
            headers=[("Host", endpoint.server_name), *user_headers(call.user)],
            context=context,
            server_name=endpoint.server_name,
        )

    def _remote(self) -> Iterator[dict[str, Any]]:
        return (stored.obj for stored in self._store.list(COLLECTION) if stored.obj["spec"].get("service"))

    def _target(self, spec: Mapping[str, Any]) -> tuple[Endpoint, ssl.SSLContext]:
        service = spec["service"]
        endpoint = resolve(self._store, service["namespace"], service["name"], service.get("port", 443))
        context = tls.front_proxy(
            spec.get("caBundle") or "",
            insecure=bool(spec.get("insecureSkipTLSVerify")),
            cert=self._pki.front_proxy_cert,
            key=self._pki.front_proxy_key,
        )
        return endpoint, context

    async def _check_forever(self) -> None:
        """After each change of what matters, and now and then, as a server may fail without a change."""
        while True:
            waits = [asyncio.ensure_future(self._store.history(name).changed(_CHECK_SECONDS)) for name in _CHECKED]
            try:
                await asyncio.sleep(0)  # lets the waits begin before the store is read
                await asyncio.gather(*(self._check(stored.obj) for stored in self._store.list(COLLECTION)))
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _check(self, service: Mapping[str, Any]) -> None:
        name = service["metadata"]["name"]
        if not service["spec"].get("service"):
            await self._tell(name, "True", "Local", "Local APIServices are always available")
            return
        try:
            self._resources[name] = await self._discover(service["spec"])
        except NoEndpointError as error:
            self._resources.pop(name, None)
            reason = "ServiceNotFound" if "not found" in str(error) else "MissingEndpoints"
            await self._tell(name, "False", reason, str(error))
        except (tls.TrustError, aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            self._resources.pop(name, None)
            message = f"failing or missing response: {error or type(error).__name__}"
            await self._tell(name, "False", "FailedDiscoveryCheck", message)
        else:
            await self._tell(name, "True", "Passed", "all checks passed")

    async def _discover(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The resources that the server says it has."""
        endpoint, context = self._target(spec)
        url = f"https://{endpoint.address}:{endpoint.port}/apis/{spec['group']}/{spec['version']}"
        headers = {**_AS_AGGREGATOR, "Host": endpoint.server_name}
        async with self._forwarder.session.get(
            url,
            headers=headers,
            ssl=context,
            server_hostname=endpoint.server_name,
            timeout=aiohttp.ClientTimeout(total=5),
        ) as answer:
            if answer.status != 200:
                raise ValueError(f"{url} answered {answer.status}")
            listed: dict[str, Any] = json.loads(await answer.read())
            listed["resources"]  # no list of resources is no answer
            return listed

    async def _tell(self, name: str, state: str, reason: str, message: str) -> None:
        """Write the condition Available, if it says anything new."""
        newest = self._store.newest(COLLECTION, ("", name))
        if newest is None:
            return
        obj = newest.copy()
        conditions = obj.setdefault("status", {}).setdefault("conditions", [])
        known: dict[str, str] = next((item for item in conditions if item["type"] == "Available"), {})
        said = {"type": "Available", "status": state, "reason": reason, "message": message}
        if said.items() <= known.items():
            return
        since = known.get("lastTransitionTime") if known.get("status") == state else None
        others = [item for item in conditions if item["type"] != "Available"]
        obj["status"]["conditions"] = [*others, {**said, "lastTransitionTime": since or metadata.now()}]
        with contextlib.suppress(VersionConflictError):
            await self._store.write(COLLECTION, ("", name), obj, newest.version)


def prepare(service: dict[str, Any]) -> list[status.Cause]:
    """Defaults of an APIService, and what is wrong with it."""
    spec = service["spec"]
    causes: list[status.Cause] = []
    wanted = f"{spec.get('version', '')}.{spec.get('group', '')}"
    name = service["metadata"].get("name", "")
    if name != wanted:
        detail = f'must be `spec.version+"."+spec.group`: "{wanted}"'
        causes.append(status.invalid_value("metadata.name", name, detail))
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        if not 0 < (spec.get(field) or 0) <= most:
            detail = f"must be positive and less than {most}"
            causes.append(status.invalid_value(f"spec.{field}", spec.get(field, 0), detail))
    if spec.get("service"):
        spec["service"].setdefault("port", 443)
        missing = [field for field in ("namespace", "name") if not spec["service"].get(field)]
        causes += [status.required(f"spec.service.{field}") for field in missing]
        if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
            detail = "may not be true if caBundle is present"
            causes.append(status.invalid_value("spec.insecureSkipTLSVerify", value=True, detail=detail))
    return causes


def _as_discovery(resources: list[dict[str, Any]], spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An APIResourceList's rows in the form of aggregated discovery: subresources within their resource."""
    found: dict[str, dict[str, Any]] = {}
    for row in sorted(resources, key=lambda row: row["name"]):
        name, _, part = row["name"].partition("/")
        group, version = row.get("group") or spec["group"], row.get("version") or spec["version"]
        kind = {"group": group, "version": version, "kind": row["kind"]}
        if part and name in found:
            sub = {"subresource": part, "responseKind": kind, "verbs": row["verbs"]}
            found[name].setdefault("subresources", []).append(sub)
        elif not part:
            optional = {key: row[key] for key in ("shortNames", "categories") if row.get(key)}
            scope = "Namespaced" if row.get("namespaced") else "Cluster"
            singular = row.get("singularName") or row["kind"].lower()
            found[name] = {"resource": name, "responseKind": kind, "scope": scope, "singularResource": singular}
            found[name] |= {"verbs": row["verbs"], **optional}
    return list(found.values())
