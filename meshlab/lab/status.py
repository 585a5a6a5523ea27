"""How is a lab doing? Where it runs, in which mode, and whether each part answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.labs import cluster_of
from meshlab.errors import ClusterError, MeshlabError
from meshlab.kube import Kube
from meshlab.kube.objects import DEPLOYMENT, MESH_CONFIG, NODE, POD
from meshlab.lab import ready
from meshlab.lab.stream import ROOT

SYSTEM = "meshlab-system"


@dataclass(frozen=True, slots=True)
class Health:
    """One part of the lab: whether it is well, and in which words."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """What `meshlab status` shows. `mode` is permissive, strict, or unknown while there is no MeshConfig."""

    name: str
    cluster: str
    network: str
    image: str
    kubeconfig: str | None
    pid: int | None
    mode: str = "unknown"
    health: Mapping[str, Health] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether every part is well."""
        return all(part.ok for part in self.health.values())

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**asdict(self), "healthy": self.healthy}


async def read(name: str = "default") -> Status:
    """The status of a lab; one that isn't running is not healthy. A pid has only the embedded cluster's daemon."""
    cluster = cluster_of(name)
    running = cluster.state.daemon() if isinstance(cluster, EmbeddedCluster) else None
    pid = running[1].pid if running else None
    daemon = {"daemon": Health(pid is not None, "running" if pid else "not running")}
    facts = {"name": name, "cluster": cluster.kind, "network": cluster.network, "image": cluster.image}
    try:
        path: Path | None = cluster.kubeconfig()
        async with await Kube.connect(path) as kube:
            await kube.text("/readyz")
            mode, health = await _mode(kube), await _health(kube)
    except ClusterError as error:
        mode, health, path = "unknown", {"api": Health(ok=False, detail=_short(error))}, None
    if isinstance(cluster, EmbeddedCluster):
        health = {**daemon, **health}
    return Status(**facts, kubeconfig=str(path) if path else None, pid=pid, mode=mode, health=health)


async def _mode(kube: Kube) -> str:
    try:
        found = await kube.find(MESH_CONFIG, "meshlab-mesh-config", SYSTEM)
    except MeshlabError:
        found = None
    if not found:
        return "unknown"
    traffic = (found.get("spec") or {}).get("traffic") or {}
    return "permissive" if traffic.get("enablePermissiveTrafficPolicyMode") else "strict"


async def _health(kube: Kube) -> dict[str, Health]:
    nodes = await kube.list(NODE)
    controller = await kube.find(DEPLOYMENT, "meshlab-controller", SYSTEM)
    pods = await kube.list(POD)
    pods = [pod for pod in pods if pod["status"].get("phase") != "Succeeded"]  # of Jobs, which are done
    unready = [pod for pod in pods if not ready.condition(pod, "Ready")]
    troubles = "".join(f", {pod['metadata']['namespace']}/{pod['metadata']['name']} is not" for pod in unready[:1])
    return {
        "api": Health(ok=True, detail="ready"),
        "node": Health(bool(nodes) and all(ready.condition(node, "Ready") for node in nodes), f"{len(nodes)} node"),
        "control plane": Health(
            ready.rolled_out(controller),
            "ready" if ready.rolled_out(controller) else "not ready" if controller else "not installed",
        ),
        "certificates": await _certificates(kube),
        "pods": Health(not unready, f"{len(pods) - len(unready)} of {len(pods)} ready{troubles}"),
    }


async def _certificates(kube: Kube) -> Health:
    """Until when all calls go on should the control plane stop now: whoever expires is not let in any more."""
    try:
        trust = await kube.request("GET", f"{ROOT}/trust")
    except MeshlabError:
        return Health(ok=False, detail="unknown: the control plane does not answer")
    signer = next(authority for authority in trust["authorities"] if authority["signs"])
    root = f"root {signer['name']} until {_day(signer['not_after'])}"
    if not (first := trust["first_expiry"]):
        return Health(ok=True, detail=f"none yet; {root}")
    left = first["not_after"] - datetime.now(UTC).timestamp()
    whose = first["identity"].rpartition("/ns/")[2].replace("/sa/", "/")
    without = f"without the control plane {whose} expires first, in {_span(left)}"
    taking = f"; {len(trust['behind'])} yet to take a root" if trust["behind"] else ""
    return Health(left > 0, f"{trust['certificates']}, renewed in time; {without}; {root}{taking}")


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _span(seconds: float) -> str:
    hours, minutes = divmod(max(0, int(seconds)) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _short(error: MeshlabError) -> str:
    return f"{error.what} [{error.code}]"
