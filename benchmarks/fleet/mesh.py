"""Which objects make a mesh of N pods and 50 Services? And what is a control plane without an API server?

The objects are handed to the control plane's own loop the way watches hand them over: what is measured begins
when a change is seen, and nothing of what follows is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from meshlab.controlplane.reader import Seen, Store
from meshlab.kube import Kind, Object, Ref

SERVICES = 50
SPLIT = "TrafficSplit"
_SMI_ACCESS, _SMI_SPECS, _SMI_SPLIT = (
    "access.smi-spec.io/v1alpha3",
    "specs.smi-spec.io/v1alpha4",
    "split.smi-spec.io/v1alpha4",
)


class Stores:
    """Objects by kind, as the control plane's reader has them after its watches told of each."""

    def __init__(self) -> None:
        self._stores: dict[str, dict[tuple[str, str], Object]] = {}
        self._pending: list[Seen] = []
        self._arrived = asyncio.Event()
        self._version = 0

    def store(self, kind: Kind) -> Store:
        return self._stores.setdefault(kind.kind, {})

    def put(self, objects: Iterable[Object]) -> None:
        """Objects have been written: all of them are seen at once."""
        now = asyncio.get_running_loop().time()
        for obj in objects:
            self._version += 1
            metadata = obj["metadata"]
            metadata["resourceVersion"] = str(self._version)
            key = metadata.get("namespace", ""), metadata["name"]
            self._stores.setdefault(obj["kind"], {})[key] = obj
            self._pending.append(Seen(Ref(obj["kind"], key[1], key[0]), str(self._version), deleted=False, time=now))
        self._arrived.set()

    def see_everything(self) -> None:
        """A control plane that starts sees every object anew."""
        self._pending.clear()
        self.put(obj for store in list(self._stores.values()) for obj in list(store.values()))

    def wake(self) -> None:
        self._arrived.set()

    async def batch(self) -> list[Seen]:
        await self._arrived.wait()
        self._arrived.clear()
        taken, self._pending = self._pending, []
        return taken


def mesh(pods: int) -> Iterator[Object]:
    """N pods behind 50 Services of ten namespaces, each pod with an identity of its own, and a policy per Service."""
    for number in range(10):
        labels = {"openservicemesh.io/monitored-by": "meshlab"}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"shop-{number}", "labels": labels}}
    for number in range(max(pods, SERVICES)):
        yield account(number)
    for number in range(pods):
        yield pod(number)
    for service in range(SERVICES):
        yield _service(service)
        yield endpoints(service, range(service, pods, SERVICES))
        yield _routes(service)
        yield target(service, "books")
    yield split(50)


def place(number: int) -> str:
    """The namespace of a Service, and of the pods behind it."""
    return f"shop-{number % SERVICES % 10}"


def node(number: int) -> str:
    """The name that a pod's proxy goes by."""
    return f"pod-{number}.{place(number)}"


def account(number: int) -> Object:
    """What a pod runs as."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"namespace": place(number), "name": f"account-{number}"},
    }


def pod(number: int, name: str = "", address: str = "") -> Object:
    """A running pod with a sidecar; explicit where it is given an address of this machine."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": place(number),
            "name": name or f"pod-{number}",
            "labels": {"app": f"service-{number % SERVICES}", "osm-proxy-uuid": f"uuid-{number}"},
            "annotations": {"meshlab.dev/interception": "explicit" if address else "redirect"},
        },
        "spec": {
            "serviceAccountName": f"account-{number}",
            "containers": [{"name": "app", "ports": [{"containerPort": 8080}]}, {"name": "envoy"}],
        },
        "status": {
            "phase": "Running",
            "podIP": address or _address(number),
            "containerStatuses": [{"name": "envoy", "state": {"running": {}}}],
        },
    }


def endpoints(service: int, pods: Iterable[int]) -> Object:
    """The pods behind a Service."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": place(service),
            "name": f"service-{service}-abc",
            "labels": {"kubernetes.io/service-name": f"service-{service}"},
        },
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [
            {
                "addresses": [_address(number)],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": f"pod-{number}"},
            }
            for number in pods
        ],
    }


def split(weight: int) -> Object:
    """Calls to one Service shared among two others."""
    backends = [{"service": "service-10", "weight": weight}, {"service": "service-20", "weight": 100 - weight}]
    return _smi(_SMI_SPLIT, SPLIT, 0, "split", {"service": "service-0", "backends": backends})


def target(service: int, match: str) -> Object:
    """Who may call the first pod of a Service, and with which requests."""
    account = {"kind": "ServiceAccount", "namespace": place(service)}
    rules = [{"kind": "HTTPRouteGroup", "name": f"routes-{service}", "matches": [match]}]
    sources = [{**account, "namespace": place(number), "name": f"account-{number}"} for number in range(10)]
    spec = {"destination": {**account, "name": f"account-{service}"}, "sources": sources, "rules": rules}
    return _smi(_SMI_ACCESS, "TrafficTarget", service, f"target-{service}", spec)


def _service(number: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": place(number), "name": f"service-{number}"},
        "spec": {"clusterIPs": [f"10.96.0.{number + 1}"], "ports": [{"name": "http", "port": 8080}]},
    }


def _routes(service: int) -> Object:
    paths = {"books": "/books.*", "buy": "/buy-a-book/.*", "all": "/.*"}
    matches = [{"name": name, "pathRegex": path, "methods": ["GET"]} for name, path in paths.items()]
    return _smi(_SMI_SPECS, "HTTPRouteGroup", service, f"routes-{service}", {"matches": matches})


def _smi(version: str, kind: str, service: int, name: str, spec: Any) -> Object:
    meta = {"namespace": place(service), "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}


def _address(number: int) -> str:
    return f"10.1.{number // 250}.{number % 250 + 1}"
