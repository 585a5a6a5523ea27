"""Where do a pod's variables and files come from: ConfigMaps, Secrets, tokens, Services?"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from meshlab.cluster.embedded.informers import Informers
from meshlab.kube import Kind, Kube, Object
from meshlab.kube.objects import CONFIG_MAP, SECRET, SERVICE, SERVICE_ACCOUNT


class MissingSourceError(Exception):
    """A ConfigMap, Secret or key that a pod needs isn't there (yet). The text is what `kubectl describe` shows."""


class Sources:
    """Reads what pods refer to, fresh: a pod that starts must not see what was there a moment ago."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._services = informers.of(SERVICE)

    async def config_map(self, namespace: str, reference: Mapping[str, Any]) -> dict[str, bytes]:
        """A ConfigMap's content. An optional one that is missing is empty; else raises MissingSourceError."""
        found = await self._find(CONFIG_MAP, namespace, reference)
        text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        return text | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}

    async def secret(self, namespace: str, reference: Mapping[str, Any]) -> dict[str, bytes]:
        """A Secret's content, by the same rules."""
        found = await self._find(SECRET, namespace, reference)
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    async def token(self, pod: Object, audience: str, seconds: int) -> tuple[str, float]:
        """A token of the pod's service account, bound to the pod, and how long it is valid for at the least."""
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName") or "default"
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        spec: dict[str, Any] = {"expirationSeconds": seconds, "boundObjectRef": bound}
        spec["audiences"] = [audience] if audience else []
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = SERVICE_ACCOUNT.path(metadata["namespace"], account, "token")
        answer = await self._kube.request("POST", path, body=request, about=f"ServiceAccount {account}")
        granted = answer.get("spec", {}).get("expirationSeconds") or seconds
        return answer["status"]["token"], min(float(granted), float(seconds))

    async def account(self, pod: Object) -> Object:
        """The pod's ServiceAccount. Raises MissingSourceError when there is none."""
        name = pod["spec"].get("serviceAccountName") or "default"
        return await self._find(SERVICE_ACCOUNT, pod["metadata"]["namespace"], {"name": name})

    def services(self, namespace: str) -> Iterator[Object]:
        """The Services whose addresses a pod finds in its environment."""
        for service in self._services.all(namespace):
            if service["spec"].get("clusterIP") not in (None, "", "None"):
                yield service

    async def _find(self, kind: Kind, namespace: str, reference: Mapping[str, Any]) -> Object:
        name = reference.get("secretName") or reference["name"]
        found = await self._kube.find(kind, name, namespace)
        if found is None and not reference.get("optional"):
            raise MissingSourceError(f'{kind.kind.lower()} "{name}" not found')
        return found or {}
