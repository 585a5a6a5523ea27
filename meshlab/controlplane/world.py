"""What does the cluster, as read so far, add up to? Kubernetes objects → one World and the findings about it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from meshlab.controlplane.helpers import reachable, too_many_proxies
from meshlab.controlplane.reader import Store
from meshlab.controlplane.topology import Topology
from meshlab.kube import Kind
from meshlab.kube.objects import ENDPOINT_SLICE, NAMESPACE, POD, SERVICE
from meshlab.mesh.finding import Finding
from meshlab.mesh.ingress import Callers
from meshlab.mesh.latest import kept
from meshlab.mesh.proxy_settings import ProxySettings
from meshlab.mesh.root_certificate import RootCertificate
from meshlab.mesh.settings import Settings
from meshlab.mesh.world import World
from meshlab.policy.base import Facts, PolicyLanguage, joined

log = logging.getLogger(__name__)

_SERVICE_KINDS = frozenset(kind.kind for kind in (NAMESPACE, SERVICE, ENDPOINT_SLICE, POD))


@dataclass(frozen=True, slots=True)
class Reading:
    """The world at one moment, what is wrong in it, and the settings that are not the data plane's."""

    world: World
    findings: tuple[Finding, ...]
    settings: Settings
    roots: tuple[RootCertificate, ...] = ()


class WorldReader:
    """Reads stores into a World, anew only where something changed: equal parts stay the very same objects.

    A policy language that fails keeps what it said last: one bad object never takes the others' configuration away.
    """

    def __init__(self, store: Callable[[Kind], Store], languages: Iterable[PolicyLanguage], trust_domain: str) -> None:
        self._store = store
        self._languages = tuple(languages)
        self._trust_domain = trust_domain
        self._topology = Topology(store)
        self._facts: dict[int, Facts] = {}
        self._said = Facts()
        self._callers: Callers = ()
        self._proxies = ProxySettings()

    def read(self, changed: Iterable[str]) -> Reading:
        """The world after objects of the `changed` kinds (by name) have changed."""
        kinds = frozenset(changed)
        if kinds & _SERVICE_KINDS:
            self._topology.read()
        for index, language in enumerate(self._languages):
            concerned = {kind.kind for kind in (*language.kinds, *language.refers_to)}
            if index not in self._facts or kinds & concerned:
                self._facts[index] = self._read_policy(language, self._facts.get(index, Facts()))
        return self._reading()

    def _reading(self) -> Reading:
        said = self._said = _keeping(self._said, joined(self._facts.values()))
        settings = said.settings or Settings()
        callers = self._topology.behind(name for rule in said.ingress_rules for name in rule.services)
        self._callers = self._callers if self._callers == callers else callers
        proxies = reachable(settings.proxies, self._store(SERVICE))
        self._proxies = self._proxies if self._proxies == proxies else proxies
        world = World(
            services=self._topology.services,
            workloads=self._topology.workloads,
            permissions=said.permissions,
            splits=said.splits,
            permissive=settings.permissive,
            trust_domain=self._trust_domain,
            egress=settings.egress,
            upstream_settings=said.upstream_settings,
            retries=said.retries,
            proxies=self._proxies,
            egress_rules=said.egress_rules,
            ingress_rules=said.ingress_rules,
            callers=self._callers,
            gateway_routes=said.gateway_routes,
            overlays=said.overlays,
        )
        return Reading(world, tuple(sorted((*said.findings, *too_many_proxies(settings, world)))), settings, said.roots)

    def _read_policy(self, language: PolicyLanguage, last: Facts) -> Facts:
        kinds = dict.fromkeys((*language.kinds, *language.refers_to))
        try:
            return language.read([obj for kind in kinds for obj in self._store(kind).values()])
        except Exception:
            log.exception("%s can't be read; what it said last stays", type(language).__name__)
            return last


def _keeping(last: Facts, now: Facts) -> Facts:
    """The facts, in the very tuples they were in before where these have the very same items."""
    same: dict[str, Any] = {
        field.name: before
        for field in fields(Facts)
        if isinstance(before := getattr(last, field.name), tuple) and kept(before, getattr(now, field.name)) is before
    }
    return replace(now, **same)
