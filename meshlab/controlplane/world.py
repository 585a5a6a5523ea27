"""What does the cluster, as read so far, add up to? Kubernetes objects → one World and the findings about it."""

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
from meshlab.mesh.finding import Finding
from meshlab.mesh.rules import Permission, Split
from meshlab.mesh.service import Service, Workload
from meshlab.mesh.settings import Settings
from meshlab.mesh.world import World
from meshlab.policy.base import Facts, PolicyLanguage

log = logging.getLogger(__name__)

_Fact = TypeVar("_Fact")

_SERVICE_KINDS = frozenset(kind.kind for kind in (NAMESPACE, SERVICE, ENDPOINT_SLICE, POD))


@dataclass(frozen=True, slots=True)
class Reading:
    """The world at one moment, what is wrong in it, and the settings that are not the data plane's."""

    world: World
    findings: tuple[Finding, ...]
    settings: Settings


class WorldReader:
    """Reads stores into a World, anew only where something changed: equal parts stay the very same objects.

    An object that can't be read is left out with a line in the log, and a policy language that fails keeps
    what it said last: one bad object never takes the others' configuration away.
    """

    def __init__(self, store: Callable[[Kind], Store], languages: Iterable[PolicyLanguage], trust_domain: str) -> None:
        self._store = store
        self._languages = tuple(languages)
        self._trust_domain = trust_domain
        self._facts: dict[int, Facts] = {}
        self._workloads: dict[str, Workload] = {}
        self._services: tuple[Service, ...] = ()

    def read(self, changed: Iterable[str]) -> Reading:
        """The world after objects of the `changed` kinds (by name) have changed."""
        kinds = frozenset(changed)
        if kinds & _SERVICE_KINDS:
            self._read_workloads()
            self._read_services()
        for index, language in enumerate(self._languages):
            concerned = {kind.kind for kind in (*language.kinds, *language.refers_to)}
            if index not in self._facts or kinds & concerned:
                self._facts[index] = self._read_policy(language, self._facts.get(index, Facts()))
        return self._reading()

    def _reading(self) -> Reading:
        said = list(self._facts.values())
        settings = next((one.settings for one in said if one.settings is not None), Settings())
        permissions: tuple[Permission, ...] = tuple(item for one in said for item in one.permissions)
        splits: tuple[Split, ...] = tuple(item for one in said for item in one.splits)
        world = World(
            services=self._services,
            workloads=tuple(self._workloads.values()),
            permissions=permissions,
            splits=splits,
            permissive=settings.permissive,
            trust_domain=self._trust_domain,
            egress=settings.egress,
        )
        return Reading(world, tuple(sorted(item for one in said for item in one.findings)), settings)

    def _read_workloads(self) -> None:
        found: dict[str, Workload] = {}
        for (namespace, name), pod in sorted(self._store(POD).items()):
            if facts.is_over(pod):
                continue
            workload = _read(partial(facts.workload, pod), pod)
            if workload is not None:
                known = self._workloads.get(f"{namespace}/{name}")
                found[f"{namespace}/{name}"] = known if known == workload else workload
        self._workloads = found

    def _read_services(self) -> None:
        meshed = {name for (_, name), obj in self._store(NAMESPACE).items() if facts.is_meshed_namespace(obj)}
        slices: Mapping[tuple[str, str], list[Object]] = defaultdict(list)
        for piece in self._store(ENDPOINT_SLICE).values():
            slices[facts.service_of(piece)].append(piece)
        known = {service.name: service for service in self._services}
        found = []
        for key, obj in sorted(self._store(SERVICE).items()):
            if key[0] not in meshed:
                continue
            service = _read(partial(facts.service, obj, slices.get(key, ()), self._workloads), obj)
            if service is not None:
                same = known.get(service.name)
                found.append(same if same == service else service)
        self._services = tuple(found)

    def _read_policy(self, language: PolicyLanguage, last: Facts) -> Facts:
        kinds = dict.fromkeys((*language.kinds, *language.refers_to))
        try:
            return language.read([obj for kind in kinds for obj in self._store(kind).values()])
        except Exception:
            log.exception("%s can't be read; what it said last stays", type(language).__name__)
            return last


def _read(read: Callable[[], _Fact], obj: Object) -> _Fact | None:
    try:
        return read()
    except Exception:
        metadata = obj.get("metadata", {})
        log.exception("%s %s/%s left out", obj.get("kind"), metadata.get("namespace"), metadata.get("name"))
        return None
