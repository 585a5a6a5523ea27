"""How does a lab run on kind? A cluster of its own in containers, made and removed by the real `kind`.

What is made is written down before it is made, so that an interrupted `up` is finished by the next one, and
`down` never removes a cluster that somebody else made.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from meshlab.cluster.image import build, image_name
from meshlab.cluster.place import Place
from meshlab.cluster.programs import run
from meshlab.cluster.tunnel import Tunnels
from meshlab.errors import ClusterError
from meshlab.kube import Kube

CONFIG = "MESHLAB_KIND_CONFIG"
"""The environment variable that names another configuration for kind."""

_NETWORK = "kind"
_READY = "180s"


class KindCluster:
    """A kind cluster named ``meshlab-<lab>``. Pods have a network of their own; the kernel redirects."""

    kind = "kind"
    network = "redirect"

    def __init__(self, name: str) -> None:
        self.name = name
        self.place = Place(name)
        self._kind_name = f"meshlab-{name}"
        self.image = image_name()
        self._tunnels = Tunnels(self.kubeconfig)

    async def up(self) -> None:
        """Make the cluster unless it is there. Raises ClusterError ML155, ML156, or ML191 when it does not answer."""
        self.place.claim(self.kind)
        there = self._kind_name in await self._clusters()
        mine = self.place.read()
        if there and mine is None:
            hint = f"take another --name; or remove it: kind delete cluster --name {self._kind_name}"
            raise ClusterError("ML155", "somebody else made it", about=f"kind cluster {self._kind_name}", hint=hint)
        if there and mine and mine.whole:
            if not self.place.kubeconfig.exists():
                await self._kind("export", "kubeconfig", *self._named, "--kubeconfig", str(self.place.kubeconfig))
        else:
            await self._make(again=there)
        async with await Kube.connect(self.place.kubeconfig) as kube:
            await kube.text("/readyz")

    def kubeconfig(self) -> Path:
        """The kubeconfig with admin rights. Raises ClusterError ML113 while there is no cluster."""
        if not self.place.kubeconfig.exists():
            hint = f"meshlab up --cluster kind --name {self.name}"
            raise ClusterError("ML113", "it is not running", about=f"lab {self.name}", hint=hint)
        return self.place.kubeconfig

    async def reach(self, namespace: str, service: str, port: int) -> tuple[str, int]:
        """A port of this machine that is forwarded to the Service, for as long as this program runs."""
        return await self._tunnels.open(namespace, f"service/{service}", port)

    async def load_image(self) -> None:
        """Build the image unless the engine has it, and load it into the nodes that lack it."""
        await build(self.image)
        for node in (await self._kind("get", "nodes", *self._named)).split():
            there = await run(
                *("docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "ls", "--quiet"),
                f"name==docker.io/library/{self.image}",
                code="ML158",
                about=f"node {node}",
            )
            if not there.strip():
                await run(
                    *("kind", "load", "docker-image", self.image, *self._named, "--nodes", node),
                    code="ML158",
                    about=self.image,
                    hint="meshlab up --cluster kind tries again; kind's own words are above",
                )

    async def down(self) -> None:
        """Remove the cluster, and Docker's network if it was made for it. The image stays in the engine."""
        mine = self.place.read()
        if mine is None or mine.kind != self.kind:
            return
        await self._tunnels.close()
        await self._kind("delete", "cluster", *self._named)
        if mine.made_network and not await self._clusters():
            await run("docker", "network", "rm", _NETWORK, code="ML151")
        self.place.forget()

    async def purge(self) -> None:
        """`down`: nothing of a kind cluster outlives it."""
        await self.down()

    async def _make(self, *, again: bool) -> None:
        networks = await run("docker", "network", "ls", "--quiet", "--filter", f"name=^{_NETWORK}$", code="ML151")
        before = self.place.read()
        self.place.remember(
            self.kind, whole=False, made_network=before.made_network if before else not networks.strip()
        )
        if again:  # an `up` was interrupted, or its cluster broke before it was ready
            await self._kind("delete", "cluster", *self._named)
        await run(
            *("kind", "create", "cluster", *self._named, "--config", _configuration()),
            *("--kubeconfig", str(self.place.kubeconfig), "--wait", _READY, "--quiet"),
            code="ML156",
            about=f"kind cluster {self._kind_name}",
            hint="the same command tries again from the start; meshlab down leaves nothing behind",
        )
        self.place.remember(self.kind, whole=True)

    @property
    def _named(self) -> tuple[str, str]:
        return "--name", self._kind_name

    async def _clusters(self) -> list[str]:
        return (await self._kind("get", "clusters", "--quiet")).split()

    async def _kind(self, *words: str) -> str:
        hint = "docker version and kind version have to work; meshlab check --cluster kind looks for the usual causes"
        return await run("kind", *words, code="ML156", about=f"kind cluster {self._kind_name}", hint=hint)


def _configuration() -> str:
    return os.environ.get(CONFIG) or str(files("meshlab") / "cluster" / "kind-config.yaml")
