"""Which workloads and Services are there? Pods, Services and EndpointSlices, read anew only where one has changed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from meshlab.controlplane import facts
from meshlab.controlplane.reader import Store
from meshlab.kube import Kind, Object
from meshlab.kube.objects import ENDPOINT_SLICE, NAMESPACE, POD, SERVICE
from meshlab.mesh.ingress import Callers
from meshlab.mesh.latest import kept
from meshlab.mesh.service import Service, ServiceName, Workload

log = logging.getLogger(__name__)

_Fact = TypeVar("_Fact")
_Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class _PodRead:
    pod: Object
    workload: Workload | None
    """None: the pod is over, or can't be read."""


@dataclass(frozen=True, slots=True)
class _ServiceRead:
    objects: tuple[Object, ...]
    """The Service and its EndpointSlices."""
    pods: frozenset[str]
    """The pods that its endpoints name: what they are decides what the endpoints are."""
    service: Service | None


class Topology:
    """Workloads and Services; what has not changed stays the very same object.

    An object that can't be read is left out with a line in the log: it never takes the others with it.
    """

    def __init__(self, store: Callable[[Kind], Store]) -> None:
        self._store = store
        self._pods: dict[_Key, _PodRead] = {}
        self._services: dict[_Key, _ServiceRead] = {}
        self._by_name: dict[str, Workload] = {}
        self.workloads: tuple[Workload, ...] = ()
        self.services: tuple[Service, ...] = ()

    def read(self) -> None:
        """Take in what has changed."""
        self._read_services(moved=self._read_pods())

    def behind(self, names: Iterable[ServiceName]) -> Callers:
        """The pods behind Services, in the mesh or not; Services that aren't there have none."""
        found = {}
        for name in sorted(set(names)):
            key = name.namespace, name.name
            slices = [piece for piece in self._store(ENDPOINT_SLICE).values() if facts.service_of(piece) == key]
            if obj := self._store(SERVICE).get(key):
                service = _read(partial(facts.service, obj, slices, self._by_name), obj)
                found[name] = tuple(pod for port in service.ports for pod in port.endpoints) if service else ()
        return tuple(found.items())

    def _read_pods(self) -> frozenset[str]:
        """Read the pods; the names of those that are something else than before."""
        self._pods = {key: self._read_pod(key, pod) for key, pod in sorted(self._store(POD).items())}
        found = (read.workload for read in self._pods.values())
        now = {f"{item.namespace}/{item.name}": item for item in found if item is not None}
        before, self._by_name = self._by_name, now
        self.workloads = kept(self.workloads, tuple(now.values()))
        return frozenset(name for name in now.keys() | before.keys() if now.get(name) is not before.get(name))

    def _read_pod(self, key: _Key, pod: Object) -> _PodRead:
        last = self._pods.get(key)
        if last is not None and last.pod is pod:
            return last
        workload = None if facts.is_over(pod) else _read(partial(facts.workload, pod), pod)
        return _PodRead(pod, last.workload if last is not None and last.workload == workload else workload)

    def _read_services(self, moved: frozenset[str]) -> None:
        meshed = {name for (_, name), obj in self._store(NAMESPACE).items() if facts.is_meshed_namespace(obj)}
        slices: Mapping[_Key, list[Object]] = defaultdict(list)
        for piece in self._store(ENDPOINT_SLICE).values():
            slices[facts.service_of(piece)].append(piece)
        self._services = {
            key: self._read_service(key, (obj, *slices.get(key, ())), moved)
            for key, obj in sorted(self._store(SERVICE).items())
            if key[0] in meshed
        }
        found = tuple(read.service for read in self._services.values() if read.service is not None)
        self.services = kept(self.services, found)

    def _read_service(self, key: _Key, objects: tuple[Object, ...], moved: frozenset[str]) -> _ServiceRead:
        last = self._services.get(key)
        if last is not None and kept(last.objects, objects) is last.objects and last.pods.isdisjoint(moved):
            return last
        obj, *slices = objects
        service = _read(partial(facts.service, obj, slices, self._by_name), obj)
        pods = facts.pods_of(key[0], slices) if service is not None else frozenset[str]()
        same = last is not None and last.service == service
        return _ServiceRead(objects, pods, last.service if last and same else service)


def _read(read: Callable[[], _Fact], obj: Object) -> _Fact | None:
    try:
        return read()
    except Exception:
        metadata = obj.get("metadata", {})
        log.exception("%s %s/%s left out", obj.get("kind"), metadata.get("namespace"), metadata.get("name"))
        return None
