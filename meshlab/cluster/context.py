"""How does a lab run on a cluster that is there already? minikube, k3d, or one in a cloud: by its kubeconfig context.

The cluster is somebody's: it is neither started nor stopped, and its image comes from a registry it can pull from.
"""

from __future__ import annotations

from pathlib import Path

from meshlab.cluster.embedded.state import write_private
from meshlab.cluster.place import Place
from meshlab.cluster.programs import run
from meshlab.cluster.tunnel import Tunnels
from meshlab.errors import ClusterError
from meshlab.kube import Kube


class ContextCluster:
    """An existing cluster. `context` and `image` are remembered: only the first `up` has to name them."""

    kind = "context"
    network = "redirect"

    def __init__(self, name: str, context: str = "", image: str = "") -> None:
        self.name = name
        self.place = Place(name)
        known = self.place.read()
        self.context = context or (known.context if known else "")
        self.image = image or (known.image if known else "")
        self._tunnels = Tunnels(self.kubeconfig)

    async def up(self) -> None:
        """Keep a copy of the context's credentials, and see that the API answers.

        Raises ClusterError ML154 for an unknown context, ML159 when the lab is on another, ML161 without an image.
        """
        self.place.claim(self.kind)
        known = self.place.read()
        about = f"lab {self.name}"
        if known and known.context != self.context:
            hint = f"meshlab down --name {self.name}, or another --name"
            raise ClusterError("ML159", f"it is on the context {known.context!r}", about=about, hint=hint)
        if not self.image:
            hint = "meshlab image registry.example/meshlab:0.1.0 builds it; docker push it, then name it with --image"
            raise ClusterError("ML161", "nobody said where its image is", about=about, hint=hint)
        credentials = await run(
            *("kubectl", "config", "view", "--raw", "--minify", "--flatten", "--context", self.context),
            code="ML154",
            about=f"context {self.context}",
            hint="kubectl config get-contexts lists them",
        )
        write_private(self.place.kubeconfig, credentials)
        async with await Kube.connect(self.place.kubeconfig) as kube:
            await kube.text("/readyz")
        self.place.remember(self.kind, whole=True, context=self.context, image=self.image)

    def kubeconfig(self) -> Path:
        """The kubeconfig of this context alone. Raises ClusterError ML113 while the lab is nowhere."""
        if not self.place.kubeconfig.exists():
            hint = f"meshlab up --context NAME --image IMAGE --name {self.name}"
            raise ClusterError("ML113", "it is not running", about=f"lab {self.name}", hint=hint)
        return self.place.kubeconfig

    async def reach(self, namespace: str, service: str, port: int) -> tuple[str, int]:
        """A port of this machine that is forwarded to the Service, for as long as this program runs."""
        return await self._tunnels.open(namespace, f"service/{service}", port)

    async def load_image(self) -> None:
        """Nothing to do: the nodes pull it."""

    async def down(self) -> None:
        """Let go of the cluster, which goes on."""
        await self._tunnels.close()
        self.place.forget()

    async def purge(self) -> None:
        """`down`: everything that was stored is the cluster's."""
        await self.down()

    async def left(self) -> str:
        """What was applied before an `up` ended is there."""
        return f"what was applied to the context {self.context}" if self.place.read() else ""
