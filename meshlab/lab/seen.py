"""What is there to judge a chain by? The cluster's objects, and what the control plane says of its proxies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshlab.errors import MeshlabError
from meshlab.kube import Kube, Object
from meshlab.kube.objects import DEPLOYMENT
from meshlab.lab import reading
from meshlab.lab.reading import Known
from meshlab.lab.stream import ROOT

SYSTEM = "meshlab-system"


@dataclass(frozen=True)
class Seen:
    """What there is to judge by."""

    known: Known
    controller: Object | None
    """The control plane's Deployment."""
    mesh: Mapping[str, Any] | None
    """The control plane's answer about itself; None: it gave none."""
    proxies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What it says of each proxy, by ``namespace/pod``."""
    now: float = field(default_factory=time.time)
    trouble: str = ""
    """Why the control plane gave no answer."""


async def see(kube: Kube) -> Seen:
    """Ask the cluster, and the control plane if it answers."""
    known = await reading.of_cluster(kube)
    controller = await kube.find(DEPLOYMENT, "meshlab-controller", SYSTEM)
    try:
        mesh = await kube.request("GET", f"{ROOT}/mesh")
        proxies = await kube.request("GET", f"{ROOT}/proxies")
    except MeshlabError as error:
        return Seen(known, controller, None, trouble=error.what)
    return Seen(known, controller, mesh, {row["proxy"]: row for row in proxies["items"]})
