"""What does a new sidecar have to be told at its birth? Read from what the cluster says about the control plane."""

from __future__ import annotations

import os
from collections.abc import Callable

from meshlab.controlplane.reader import Store
from meshlab.controlplane.serving import NAMESPACE, SERVICE
from meshlab.dataplane.base import SidecarSettings
from meshlab.errors import DataPlaneError
from meshlab.kube import Kind, Kube, labels_of
from meshlab.kube import objects as kinds
from meshlab.mesh.settings import Settings
from meshlab.version import __version__

POD_NETWORK = "meshlab.dev/pod-network"
"""A Node's label; `loopback`: its pods share the machine's network, and nothing can be redirected; `namespaces`: each
has a network of its own, and all of it runs as one user."""

_SIDECARS_SINCE = (1, 29)


async def knows_sidecars(kube: Kube) -> bool:
    """Whether this release of Kubernetes runs init containers that go on beside the app."""
    version = await kube.request("GET", "/version")
    numbers = [int("".join(filter(str.isdigit, version[part]))) for part in ("major", "minor")]  # some write "29+"
    return tuple(numbers) >= _SIDECARS_SINCE


def sidecar_settings(
    store: Callable[[Kind], Store], bundle: bytes, trust_domain: str, mesh: Settings, *, outlives_apps: bool
) -> SidecarSettings:
    """The settings at this moment. Raises DataPlaneError ML352 while the control plane has no address."""
    service = store(kinds.SERVICE).get((NAMESPACE, SERVICE))
    address = (service or {}).get("spec", {}).get("clusterIP")
    if not address or address == "None":
        raise DataPlaneError(
            "ML352", "the control plane has no ClusterIP", about=f"Service {NAMESPACE}/{SERVICE}", hint="meshlab up"
        )
    networks = {labels_of(node).get(POD_NETWORK) for node in store(kinds.NODE).values()}
    return SidecarSettings(
        image=_own_image(store),
        controller=address,
        ca_bundle=bundle.decode(),
        explicit="loopback" in networks,
        one_user="namespaces" in networks,
        outlives_apps=outlives_apps,
        trust_domain=trust_domain,
        exclusions=mesh.exclusions,
        log_level=mesh.proxy_log_level,
        resources=mesh.proxy_resources,
    )


def _own_image(store: Callable[[Kind], Store]) -> str:
    """The image this very pod runs, so that control plane and sidecars are always of one version."""
    pod = store(kinds.POD).get((NAMESPACE, os.environ.get("POD_NAME", "")))
    if pod is None:
        return f"meshlab:{__version__}"
    return str(pod["spec"]["containers"][0]["image"])
