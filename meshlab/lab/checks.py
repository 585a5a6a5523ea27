"""Did it come out as expected? One short check closes each idea of the notebooks, on real state and real requests."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from math import sqrt
from typing import Any

from meshlab.errors import LabError
from meshlab.kube import Kube
from meshlab.kube.objects import POD, TRAFFIC_SPLIT
from meshlab.lab import ready
from meshlab.lab.stream import ROOT

_WINDOW_SECONDS = 8
_PATIENCE_SECONDS = 30
_PAUSE_SECONDS = 0.5
_ENOUGH = 30
_SIGMAS = 4

Edges = list[Mapping[str, Any]]
Look = Callable[[Kube], Awaitable[str]]
"""Says what was found, or raises NotYet."""


class NotYet(Exception):  # noqa: N818  # it is no error: traffic takes its time
    """The condition doesn't hold: what was found, and a hint towards it."""

    def __init__(self, found: str, hint: str) -> None:
        self.found = found
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check said: the idea, whether it holds, what was found, and a hint when it doesn't."""

    name: str
    idea: str
    passed: bool
    found: str
    hint: str = ""

    def __repr__(self) -> str:
        hint = f"\n  Hint: {self.hint}" if self.hint else ""
        return f"{'✓' if self.passed else '✗'} {self.name} {self.idea}: {self.found}{hint}"

    def _repr_html_(self) -> str:
        hint = f"<br>Hint: {escape(self.hint)}" if self.hint else ""
        return (
            f"<div>{'✓' if self.passed else '✗'} <b>{escape(self.name)} {escape(self.idea)}</b>: "
            f"{escape(self.found)}{hint}</div>"
        )


async def run(kube: Kube, name: str) -> Outcome:
    """Look until it holds, for at most half a minute: traffic takes a moment to show a change."""
    if name not in _CHECKS:
        raise LabError("ML505", "there is no such check", about=name, hint=f"there are {', '.join(_CHECKS)}")
    idea, look = _CHECKS[name]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return Outcome(name, idea, passed=True, found=await look(kube))
        except NotYet as not_yet:
            if time.monotonic() > deadline:
                return Outcome(name, idea, passed=False, found=not_yet.found, hint=not_yet.hint)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _all_is_well(kube: Kube) -> str:
    pods = await kube.list(POD)
    unready = [pod["metadata"]["name"] for pod in pods if not ready.condition(pod, "Ready")]
    if unready:
        raise NotYet(f"{unready[0]} is not ready", "%kubectl describe pods -A tells why")
    bought = sum(edge["requests"] - edge["failures"] for edge in await _edges(kube, "bookbuyer/"))
    if not bought:
        raise NotYet("bookbuyer has not been answered yet", "is the mesh strict? Then a TrafficTarget is missing")
    return f"{len(pods)} pods are ready, bookbuyer was answered {bought} times in {_WINDOW_SECONDS} s"


async def _not_in_the_mesh(kube: Kube) -> str:
    pods = await kube.list(POD, "corner")
    if len(pods) < 2 or not all(ready.condition(pod, "Ready") for pod in pods):
        raise NotYet(f"{len(pods)} pods, not all ready", 'lab.apply("two-services.yaml")')
    if any(_meshed(pod) for pod in pods):
        raise NotYet("a pod has a sidecar", "begin anew: %kubectl delete namespace corner, and apply again")
    if await _edges(kube, "corner/"):
        raise NotYet("the mesh still remembers requests of them", "wait a moment")
    return "two pods without sidecars; of what they say to each other the mesh knows nothing"


async def _in_the_mesh(kube: Kube) -> str:
    pods = [pod for pod in await kube.list(POD, "corner") if not pod["metadata"].get("deletionTimestamp")]
    if not pods or not all(_meshed(pod) for pod in pods):
        raise NotYet("a pod has no sidecar", "%kubectl rollout restart deployment -n corner")
    edges = await _edges(kube, "corner/reader")
    requests, proven = sum(edge["requests"] for edge in edges), sum(edge["mtls"] for edge in edges)
    if not requests or proven < requests:
        raise NotYet(f"{proven} of {requests} requests by mTLS", "wait for the new pods: %kubectl get pods -n corner")
    return f"all of {requests} requests proved who was calling and who answered"


async def _only_v1(kube: Kube) -> str:
    return await _share_is(kube, "bookstore-v2", 0, "apply a TrafficSplit with weights 100 and 0")


async def _only_v2(kube: Kube) -> str:
    return await _share_is(kube, "bookstore-v1", 0, "shift everything to v2: weights 0 and 100")


async def _follows_the_split(kube: Kube) -> str:
    """What was counted may differ from the weights as far as chance allows: four standard deviations."""
    splits = await kube.list(TRAFFIC_SPLIT, "bookstore")
    if not splits:
        raise NotYet("there is no TrafficSplit in bookstore", 'lab.split("bookstore") writes one')
    weights = {row["service"]: row["weight"] for row in splits[0]["spec"]["backends"]}
    counts = await _answers(kube)
    asked, total = sum(counts.values()), sum(weights.values())
    for backend, weight in weights.items():
        share = weight / total
        if asked < _ENOUGH or abs(counts[backend] - asked * share) > _SIGMAS * sqrt(asked * share * (1 - share)):
            raise NotYet(
                f"{counts[backend]} of {asked} calls reached {backend}, {share:.0%} were meant", "wait a moment"
            )
    said = ", ".join(f"{backend} {counts[backend]}" for backend in weights)
    return f"of {asked} calls: {said}; the weights are {'/'.join(map(str, weights.values()))}"


_CHECKS: dict[str, tuple[str, Look]] = {
    "00-1": ("The lab runs", _all_is_well),
    "01-1": ("Two services, no mesh", _not_in_the_mesh),
    "01-2": ("Two services in the mesh", _in_the_mesh),
    "02-1": ("Everything goes to v1", _only_v1),
    "02-2": ("Calls follow the weights", _follows_the_split),
    "02-3": ("Everything goes to v2", _only_v2),
}


async def _share_is(kube: Kube, backend: str, wanted: int, hint: str) -> str:
    counts = await _answers(kube)
    asked = sum(counts.values())
    if asked < _ENOUGH or counts[backend] > wanted:
        raise NotYet(f"{counts[backend]} of {asked} calls reached {backend}", hint)
    return f"{counts[backend]} of {asked} calls reached {backend}"


async def _answers(kube: Kube) -> Counter[str]:
    """How many of bookbuyer's calls to bookstore each version answered."""
    counts: Counter[str] = Counter()
    for edge in await _edges(kube, "bookbuyer/"):
        if edge["root"].startswith("bookstore/bookstore|"):
            counts[edge["destination_workload"]] += edge["requests"]
    return counts


async def _edges(kube: Kube, source: str) -> Edges:
    """The edges of the last seconds whose caller's identity begins so."""
    found = await kube.request("GET", f"{ROOT}/edges", query={"window": _WINDOW_SECONDS})
    return [edge for edge in found["edges"] if edge["source"].startswith(source)]


def _meshed(pod: Mapping[str, Any]) -> bool:
    spec = pod["spec"]
    return any(item["name"] == "envoy" for item in [*spec.get("initContainers", []), *spec["containers"]])
