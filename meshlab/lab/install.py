"""How does a machine become a mesh? Cluster, custom kinds, control plane, demo: each a step that can be repeated.

Everything goes through the Kubernetes API by server-side apply, so a second run changes nothing, and what a
learner changed meanwhile stays changed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from meshlab import manifests
from meshlab.cluster.base import Cluster
from meshlab.cluster.context import ContextCluster
from meshlab.cluster.kind import KindCluster
from meshlab.cluster.labs import cluster_of
from meshlab.cluster.place import EMBEDDED
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.objects import MESH_CONFIG
from meshlab.lab import preflight, preflight_kind, ready
from meshlab.lab.kubectl import find_kubectl
from meshlab.lab.steps import Listener, Report, Say, Step, Steps, to_log
from meshlab.lab.uninstall import marked, uninstall

MANAGER = "meshlab-install"


@dataclass(frozen=True, slots=True)
class Started:
    """A lab that runs: where it is, and what was done for it."""

    name: str
    cluster: str
    network: str
    image: str
    kubeconfig: Path
    steps: tuple[Report, ...]


async def start(
    name: str = "default",
    demo: bool = True,  # noqa: FBT001, FBT002
    progress: Listener = to_log,
    *,
    kind: str | None = None,
    context: str = "",
    image: str = "",
    network: str = "",
    gateway: bool = False,
) -> Started:
    """Start a lab, or finish and repair one that was started. `progress` hears of every step.

    `kind` is the cluster's: ``embedded`` or ``kind``. `context` names an existing one, which pulls `image`.
    Without them: where the lab is, or else embedded, with the pod `network`: ``namespaces`` or ``loopback``.
    `gateway` adds the mesh's own way in from outside, which stays once it is there.
    """
    cluster = cluster_of(name, kind, context=context, image=image, network=network)
    installation = Installation(cluster)
    steps = [
        Step("Check this machine", lambda _: asyncio.to_thread(_check_machine, cluster)),
        Step("Start the cluster", installation.start_cluster),
        Step("Give it the image", installation.load_image),
        Step("Teach it the mesh's kinds", installation.apply_kinds),
        Step("Start the control plane", installation.apply_control_plane),
    ]
    if gateway:
        steps.append(Step("Start the gateway", installation.apply_gateway))
    if demo:
        steps.append(Step("Start the bookstore", installation.apply_demo))
    steps.append(Step("Ask how the mesh is doing", installation.ask))
    taken = Steps(progress)
    await taken.run(steps)
    return Started(name, cluster.kind, cluster.network, cluster.image, cluster.kubeconfig(), tuple(taken.taken))


async def stop(name: str, *, purge: bool = False, progress: Listener = to_log) -> bool:
    """Stop a lab; whether nothing of it is left. From a cluster that isn't its own the mesh is taken away again."""
    cluster = cluster_of(name)
    if cluster.kind == ContextCluster.kind:
        await Steps(progress).run([Step("Take the mesh away", Installation(cluster).remove)])
    await (cluster.purge() if purge else cluster.down())
    return purge or cluster.kind != EMBEDDED


async def left(name: str) -> str:
    """What an `up` that did not end well leaves, and what can be done about it."""
    found = await cluster_of(name).left()
    if not found:
        return "Nothing was left behind."
    return f"Left: {found}. The next up goes on from there; meshlab down --name {name} takes it away."


def everything(image: str, *, demo: bool, gateway: bool) -> list[Object]:
    """What an installation consists of, in order."""
    folders = ["crds", "control-plane", *(["gateway"] if gateway else []), *(["demo"] if demo else [])]
    return [obj for folder in folders for obj in manifests.read(folder, image=image)]


class Installation:
    """The steps that need a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def start_cluster(self, _: Say) -> str:
        """The cluster's API answers."""
        await self._cluster.up()
        return f"{self._cluster.kind}, {self._cluster.network} network"

    async def load_image(self, _: Say) -> str:
        """The nodes know the image."""
        await self._cluster.load_image()
        return self._cluster.image

    async def apply_kinds(self, _: Say) -> str:
        """SMI's and OSM's kinds are served."""
        async with await self._connect() as kube:
            crds = manifests.read("crds")
            await self._apply(kube, crds, force=True)
            await ready.served(kube, crds)
        return f"{len(crds)} kinds"

    async def apply_control_plane(self, say: Say) -> str:
        """The control plane runs and is ready to inject."""
        async with await self._connect() as kube:
            objects = self._control_plane()
            settings = [obj for obj in objects if obj["kind"] == MESH_CONFIG.kind]
            await self._apply(kube, [obj for obj in objects if obj not in settings], force=True)
            await self._apply(kube, settings, force=False)
            return await ready.available(kube, objects, say)

    async def apply_gateway(self, say: Say) -> str:
        """The gateway runs, and waits for Ingresses of class meshlab."""
        async with await self._connect() as kube:
            objects = manifests.read("gateway", image=self._cluster.image)
            await self._apply(kube, objects, force=False)
            return await ready.available(kube, objects, say)

    async def apply_demo(self, say: Say) -> str:
        """The bookstore's pods run, each with its sidecar."""
        async with await self._connect() as kube:
            objects = manifests.read("demo", image=self._cluster.image)
            kept = await self._apply(kube, objects, force=False)
            done = await ready.available(kube, objects, say)
        return f"{done}, {kept} kept as you changed them" if kept else done

    async def ask(self, _: Say) -> str:
        """What the mesh observes is served by the cluster's API."""
        async with await self._connect() as kube:
            objects = manifests.read("control-plane", image=self._cluster.image)
            await ready.aggregated(kube, [obj for obj in objects if obj["kind"] == "APIService"])
        return "it answers"

    async def remove(self, say: Say) -> str:
        """What the lab made is gone."""
        async with await self._connect() as kube:
            return await uninstall(kube, everything(self._cluster.image, demo=True, gateway=True), say)

    def _control_plane(self) -> list[Object]:
        objects = manifests.read("control-plane", image=self._cluster.image)
        if self._cluster.kind == EMBEDDED:  # the one machine would carry them both: it is one, or what you scale it to
            for obj in objects:
                obj.get("spec", {}).pop("replicas", None)
        return objects

    async def _connect(self) -> Kube:
        return await Kube.connect(self._cluster.kubeconfig())

    async def _apply(self, kube: Kube, objects: list[Object], *, force: bool) -> int:
        """Apply in order. Without `force` an object that somebody else changed stays as it is; the count of those."""
        kept = 0
        somebody_elses = self._cluster.kind == ContextCluster.kind
        for obj in objects:
            try:
                await kube.apply(await marked(kube, obj) if somebody_elses else obj, manager=MANAGER, force=force)
            except ApiError as error:
                if force or error.status != HTTPStatus.CONFLICT:
                    raise
                kept += 1
        return kept


def _check_machine(cluster: Cluster) -> str:
    if cluster.kind == ContextCluster.kind:
        return str(find_kubectl())
    checks = preflight_kind.checks if cluster.kind == KindCluster.kind else preflight.checks
    return preflight.require(list(checks(cluster.name)))
