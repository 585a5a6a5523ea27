"""Does every namespace have what its pods need to speak to the API: an account, and the CA to trust?"""

from __future__ import annotations

from http import HTTPStatus

from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import ApiError, Change, Kube, Object
from meshlab.kube.objects import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT

_ACCOUNT = "default"
_CA = "kube-root-ca.crt"


class ServiceAccountController:
    """Keeps the ServiceAccount `default` and the ConfigMap `kube-root-ca.crt` in every namespace."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._ca = kube.certificate_authority
        self._namespaces = informers.of(NAMESPACE)
        self._accounts, self._maps = informers.of(SERVICE_ACCOUNT), informers.of(CONFIG_MAP)
        self._queue: WorkQueue[Key] = WorkQueue("serviceaccount", self._sync)
        self._namespaces.listen(lambda change: self._queue.add(("", change.object["metadata"]["name"])))
        self._accounts.listen(lambda change: self._content_changed(change, _ACCOUNT))
        self._maps.listen(lambda change: self._content_changed(change, _CA))

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _content_changed(self, change: Change, name: str) -> None:
        namespace, changed = key_of(change.object)
        if changed == name:
            self._queue.add(("", namespace))

    async def _sync(self, key: Key) -> None:
        name = key[1]
        namespace = self._namespaces.get(*key)
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):
            return
        if self._accounts.get(name, _ACCOUNT) is None:
            await self._create({"apiVersion": "v1", "kind": "ServiceAccount"}, name, _ACCOUNT)
        trusted = self._maps.get(name, _CA)
        if trusted is None:
            await self._create({"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": self._ca}}, name, _CA)
        elif trusted.get("data") != {"ca.crt": self._ca}:
            await self._kube.replace({**trusted, "data": {"ca.crt": self._ca}})

    async def _create(self, obj: Object, namespace: str, name: str) -> None:
        try:
            await self._kube.create({**obj, "metadata": {"name": name, "namespace": namespace}})
        except ApiError as error:
            if error.status not in (HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                raise
