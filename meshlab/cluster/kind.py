"""How does a lab run on kind? A cluster of its own in containers, made and removed by the real `kind`.

What is made is written down before it is made, so that an interrupted `up` is finished by the next one, and
`down` never removes a cluster that somebody else made.
"""

from __future__ import annotations

import asyncio
import os
from importlib.resources import files
from pathlib import Path

from meshlab.cluster.image import build, image_name
from meshlab.cluster.place import Place
from meshlab.cluster.programs import run
from meshlab.cluster.tunnel import Tunnels
from meshlab.errors import ClusterError
from meshlab.kube import Kube
from meshlab.version import __version__

CONFIG = "MESHLAB_KIND_CONFIG"
"""The environment variable that names another configuration for kind."""

_NETWORK = "kind"
_ASK_DOCKER = "start your Docker daemon; docker version has to name a server"
_READY = "180s"
_ANSWER_SECONDS = 60
_POLL_SECONDS = 0.5
_REGISTRY = "docker.io/library"
"""What a node's containerd puts before a name that has no registry."""


class KindCluster:
    """A kind cluster named ``meshlab-<lab>``. Pods have a network of their own; the kernel redirects."""

    kind = "kind"
    network = "redirect"

    def __init__(self, name: str) -> None:
        self.name = name
        self.place = Place(name)
        self._kind_name = f"meshlab-{name}"
        self._about = f"kind cluster {self._kind_name}"
        self.image = image_name()
        self._tunnels = Tunnels(self.kubeconfig)

    async def up(self) -> None:
        """Make the cluster unless it is there; start its nodes when Docker stopped them.

        Raises ClusterError ML155 for a cluster of somebody else's, ML156 for kind's own errors, ML162 when the
        cluster does not answer.
        """
        async with self.place.changing(self.kind):
            there = self._kind_name in await self._clusters()
            mine = self.place.read()
            if there and mine is None:
                hint = f"take another --name; or remove it: kind delete cluster --name {self._kind_name}"
                raise ClusterError("ML155", "somebody else made it", about=self._about, hint=hint)
            if there and mine and mine.whole:
                await run("docker", "start", *await self._nodes(), code="ML162", about=self._about, hint=_ASK_DOCKER)
                if not self.place.kubeconfig.exists():
                    await self._kind("export", "kubeconfig", *self._named, "--kubeconfig", str(self.place.kubeconfig))
            else:
                await self._make(again=there)
            await self._answers()

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
        """Build the image unless the engine has it, and load it into the nodes that lack it.

        There it is also ``meshlab:<version>``, the name that YAML for every kind of cluster uses.
        """
        await build(self.image)
        name, plain = f"{_REGISTRY}/{self.image}", f"{_REGISTRY}/meshlab:{__version__}"
        for node in await self._nodes():
            if not (await _images(node, "ls", "--quiet", f"name=={name}")).strip():
                await run(
                    *("kind", "load", "docker-image", self.image, *self._named, "--nodes", node),
                    code="ML158",
                    about=self.image,
                    hint="docker system df shows the room there is; meshlab up --cluster kind tries again",
                )
            await _images(node, "tag", "--force", name, plain)

    async def down(self) -> None:
        """Remove the cluster, and Docker's network if it was made for it. The image stays in the engine."""
        mine = self.place.read()
        if mine is None or mine.kind != self.kind:
            return
        await self._tunnels.close()
        async with self.place.changing(self.kind):
            await self._kind("delete", "cluster", *self._named)
            if mine.made_network and not await self._clusters():
                await run("docker", "network", "rm", _NETWORK, code="ML151", hint=_ASK_DOCKER)
            self.place.forget()

    async def purge(self) -> None:
        """`down`: nothing of a kind cluster outlives it."""
        await self.down()

    async def left(self) -> str:
        """What there is of it, for somebody whose `up` did not end well."""
        mine = self.place.read()
        if mine is None:
            return ""
        try:
            there = self._kind_name in await self._clusters()
        except ClusterError:
            there = True  # nobody can tell, so it is looked for by `down`
        half = "" if mine.whole else ", half made"
        found = [f"the kind cluster {self._kind_name}{half}"] if there else []
        return " and ".join([*found, *([f"Docker's network {_NETWORK!r}"] if mine.made_network else [])])

    async def _answers(self) -> None:
        """Wait for the API: a cluster that was started a moment ago needs some time."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), await Kube.connect(self.place.kubeconfig) as kube:
                while not await _is_ready(kube):  # noqa: ASYNC110  # nothing tells
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            node = f"docker logs {self._kind_name}-control-plane"
            hint = f"look at {node}; or begin anew: meshlab down --name {self.name}, then meshlab up --cluster kind"
            what = f"no answer in {_ANSWER_SECONDS} s"
            raise ClusterError("ML162", what, about=self._about, hint=hint) from None

    async def _make(self, *, again: bool) -> None:
        networks = await run(
            *("docker", "network", "ls", "--quiet", "--filter", f"name=^{_NETWORK}$"), code="ML151", hint=_ASK_DOCKER
        )
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
            about=self._about,
            hint="the same command tries again from the start; meshlab down leaves nothing behind",
        )
        self.place.remember(self.kind, whole=True)

    @property
    def _named(self) -> tuple[str, str]:
        return "--name", self._kind_name

    async def _nodes(self) -> list[str]:
        return (await self._kind("get", "nodes", *self._named)).split()

    async def _clusters(self) -> list[str]:
        return (await self._kind("get", "clusters", "--quiet")).split()

    async def _kind(self, *words: str) -> str:
        hint = "docker version and kind version have to work; meshlab check --cluster kind looks for the usual causes"
        return await run("kind", *words, code="ML156", about=self._about, hint=hint)


async def _images(node: str, *words: str) -> str:
    command = ("docker", "exec", node, "ctr", "--namespace=k8s.io", "images")
    return await run(*command, *words, code="ML158", about=f"node {node}", hint="docker ps shows whether it runs")


async def _is_ready(kube: Kube) -> bool:
    try:
        await kube.text("/readyz")
    except ClusterError:  # silence, or the answer of a server that is not ready yet
        return False
    return True


def _configuration() -> str:
    return os.environ.get(CONFIG) or str(files("meshlab") / "cluster" / "kind-config.yaml")
