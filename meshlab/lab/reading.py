"""What does a cluster, or a folder of YAML, say about its mesh? Objects → the same World the control plane makes.

So a question can be answered from a kubeconfig alone, without the control plane, and before anything runs.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from meshlab.controlplane.reader import CORE_KINDS
from meshlab.controlplane.world import WorldReader
from meshlab.kube import ApiError, Kind, Kube, Object
from meshlab.mesh.finding import Finding
from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN
from meshlab.mesh.settings import Settings
from meshlab.mesh.world import World
from meshlab.policy import languages
from meshlab.policy.objects import Objects, namespace_of, same

KINDS = tuple(dict.fromkeys((*CORE_KINDS, *(kind for language in languages() for kind in language.kinds))))
"""What the control plane reads."""


@dataclass(frozen=True)
class Known:
    """The objects that were read, and what they add up to."""

    objects: tuple[Object, ...]
    world: World
    findings: tuple[Finding, ...] = ()
    settings: Settings = field(default_factory=Settings)

    @property
    def by_name(self) -> Objects:
        """The objects, to be found by kind, namespace and name."""
        return Objects(self.objects)


def know(objects: Iterable[Object]) -> Known:
    """What these objects add up to."""
    given = tuple(objects)
    stores: dict[str, dict[tuple[str, str], Object]] = defaultdict(dict)
    cluster_wide = {kind.kind for kind in KINDS if not kind.namespaced}
    for obj in given:
        namespace = "" if obj["kind"] in cluster_wide else namespace_of(obj)
        stores[obj["kind"]][namespace, obj["metadata"]["name"]] = obj
    reader = WorldReader(lambda kind: stores[kind.kind], languages(), DEFAULT_TRUST_DOMAIN)
    reading = reader.read({kind.kind for kind in KINDS})
    return Known(given, reading.world, reading.findings, reading.settings)


async def of_cluster(kube: Kube) -> Known:
    """What a cluster says now. Kinds that it doesn't serve say nothing."""
    lists = await asyncio.gather(*(_list(kube, kind) for kind in KINDS))
    return know(obj for objects in lists for obj in objects)


def changed(known: Known, objects: Iterable[Object] = (), without: Iterable[Object] = ()) -> Known:
    """The same, had these objects been applied and those deleted."""
    new, gone = list(objects), list(without)
    kept = [obj for obj in known.objects if not any(same(obj, other) for other in (*new, *gone))]
    return know([*kept, *new])


async def _list(kube: Kube, kind: Kind) -> list[Object]:
    try:
        return await kube.list(kind)
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return []
        raise
