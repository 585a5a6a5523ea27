"""Where is an edge to be heard? In a pod that its calls arrive at, by what the proxies report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshlab.errors import LabError
from meshlab.kube import Kube, Object, matches_labels
from meshlab.kube.objects import POD, SERVICE, labels_of
from meshlab.lab.stream import ROOT
from meshlab.lab.tapped import INSIDE, WIRE, Heard
from meshlab.observe.capture import LOOPBACK

_LOCALHOST = "127.0.0.1"
_WINDOW_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Target:
    """Where to listen, and whose addresses are whose."""

    pod: Object
    port: int
    callers: frozenset[str]
    caller: str
    server: str
    service: str

    def heard(self, line: Mapping[str, Any]) -> Heard | None:
        """A line of the capture, in the lab's words. None when it is of another caller, or of a call that the pod
        itself makes.
        """
        inside = line["interface"] == LOOPBACK
        ends = [line[end].rpartition(":") for end in ("source", "destination")]
        addresses = {address for address, _, _ in ends}
        if not (addresses == {_LOCALHOST} if inside else addresses & self.callers):
            return None
        names = [self._name(address, int(port), inside=inside) for address, _, port in ends]
        return Heard(
            where=INSIDE if inside else WIRE,
            source=names[0],
            destination=names[1],
            bytes=line["bytes"],
            start=_text(bytes.fromhex(line["start"])),
            verdict=line["verdict"],
            time=line["t"],
        )

    def _name(self, address: str, port: int, *, inside: bool) -> str:
        if inside:
            return f"app:{port}" if port == self.port else f"proxy:{port}"
        return f"{self.caller if address in self.callers else self.server} {address}:{port}"


def ends_of(edge: str | Mapping[str, Any], service: str | None) -> tuple[str, str]:
    """Caller and Service of an edge: two names, ``bookbuyer → bookstore`` as the dashboard says it, or a row of
    `lab.edges()`.
    """
    if not isinstance(edge, str):
        return str(edge["source_workload"]), str(edge["service"]).partition("|")[0]
    if service is not None:
        return edge, service
    source, arrow, destination = (part.strip() for part in edge.partition("→"))
    if not arrow:
        hint = 'lab.wiretap("bookbuyer", "bookstore"), or a row of lab.edges()'
        raise LabError("ML508", "an edge has two ends", about=f"edge {edge}", hint=hint)
    return source, destination


async def find(kube: Kube, source: str, service: str) -> Target:
    """Where the busiest part of an edge arrives. Raises LabError ML508 when nothing does."""
    answer = await kube.request("GET", f"{ROOT}/edges", query={"window": _WINDOW_SECONDS})
    edges = [edge for edge in answer["edges"] if _is(edge, source, service)]
    if not edges:
        known = sorted({f"{edge['source_workload']} → {_service(edge['root'])}" for edge in answer["edges"]})
        what = f"no calls on it in the last {_WINDOW_SECONDS} s"
        hint = f"there are calls on {', '.join(known)}" if known else "lab.edges() shows who calls whom"
        raise LabError("ML508", what, about=f"edge {source} → {service}", hint=hint)
    edge = max(edges, key=lambda found: found["requests"])
    full, _, port = edge["service"].partition("|")
    namespace, _, name = full.partition("/")
    found = await kube.get(SERVICE, name, namespace)
    pods = [pod for pod in await kube.list(POD, namespace) if _serves(found, pod, edge["destination_workload"])]
    if not pods:
        what = f"none of its pods runs: {edge['destination_workload']}"
        raise LabError("ML508", what, about=f"Service {full}", hint=f"kubectl get pods -n {namespace}")
    callers = await kube.list(POD, edge["source"].partition("/")[0])
    return Target(
        pod=pods[0],
        port=_target_port(found, int(port), pods[0]),
        callers=frozenset(_address(pod) for pod in callers if _is_of(pod, edge["source_workload"])),
        caller=edge["source_workload"],
        server=edge["destination_workload"],
        service=_service(edge["root"]),
    )


def _is(edge: Mapping[str, Any], source: str, service: str) -> bool:
    names = {edge[key].partition("|")[0] for key in ("service", "root")}
    wanted = {service, service.replace(".", "/", 1)}
    known = names | {name.rpartition("/")[2] for name in names} | {"/".join(name.split("/")[::-1]) for name in names}
    return edge["source_workload"] == source and bool(known & wanted)


def _service(upstream: str) -> str:
    return upstream.partition("|")[0].rpartition("/")[2]


def _serves(service: Object, pod: Object, workload: str) -> bool:
    runs = (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    return runs and matches_labels(service["spec"]["selector"], labels_of(pod)) and _is_of(pod, workload)


def _is_of(pod: Object, workload: str) -> bool:
    name = str(pod["metadata"]["name"])
    return name == workload or name.startswith(f"{workload}-")


def _address(pod: Object) -> str:
    return str((pod.get("status") or {}).get("podIP", ""))


def _target_port(service: Object, port: int, pod: Object) -> int:
    """The pod's own port behind a Service's."""
    target = next((row.get("targetPort", port) for row in service["spec"]["ports"] if row["port"] == port), port)
    named = {row.get("name"): row["containerPort"] for c in pod["spec"]["containers"] for row in c.get("ports") or []}
    return int(named[target] if isinstance(target, str) else target)


def _text(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in data)
