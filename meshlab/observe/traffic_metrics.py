"""What does SMI's TrafficMetrics say of the traffic? Flows between pods, added up for whoever is asked about.

Every request is measured once, by its caller's proxy, which alone knows of requests that never arrived; by the
server's where the caller has none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from meshlab.mesh.service import Workload
from meshlab.mesh.world import World
from meshlab.observe.latency import percentile
from meshlab.observe.subjects import Subject, containing, owner
from meshlab.observe.traffic import Flow, Outcome

GROUP_VERSION = "metrics.smi-spec.io/v1alpha1"
_PERCENTILES = {"p50_response_latency": 0.5, "p90_response_latency": 0.9, "p99_response_latency": 0.99}

Json = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """The traffic of the last `window` seconds before `time`, in a world."""

    world: World
    flows: Mapping[Flow, Outcome]
    pods: Mapping[str, Workload]
    time: float
    window: int
    _called: dict[str, dict[Subject, list[Flow]]] = field(default_factory=dict)
    """By kind, once it was asked for."""

    def subjects(self, kind: str) -> list[Subject]:
        """Everything of a kind that has a proxy, or had traffic."""
        if kind == "Service":
            return sorted(Subject(kind, one.name.namespace, one.name.name) for one in self.world.services)
        if kind == "TrafficSplit":
            return sorted(Subject(kind, *one.name.split("/", 1)) for one in self.world.splits)
        meshed = (workload for workload in self.world.workloads if workload.meshed)
        found = {containing(kind, workload) for workload in (*meshed, *self.pods.values())}
        return sorted(subject for subject in found if subject)

    def totals(self, subject: Subject) -> Iterator[Json]:
        """What a subject received from everybody; for a TrafficSplit, each backend of it."""
        for backend, flows in self._received(subject):
            yield self._metrics(subject, "from", "client", {}, [self.flows[flow] for flow in flows], backend)

    def edges(self, subject: Subject) -> Iterator[Json]:
        """What a subject exchanged with each other one that it had traffic with."""
        sent = [flow for flow in self.flows if self._subject(subject.kind, flow.source) == subject]
        yield from self._by_end(subject, "to", sent, lambda flow: self._callee(subject.kind, flow))
        for backend, flows in self._received(subject):
            yield from self._by_end(subject, "from", flows, lambda flow: self._caller(subject.kind, flow), backend)

    def _received(self, subject: Subject) -> Iterator[tuple[Json | None, list[Flow]]]:
        if subject.kind != "TrafficSplit":
            yield None, self._by_callee(subject.kind).get(subject, [])
            return
        split = next(one for one in self.world.splits if one.name == f"{subject.namespace}/{subject.name}")
        for backend in split.backends:
            called = (str(split.root), str(backend.service))
            share = {"apex": split.root.name, "name": backend.service.name, "weight": backend.weight}
            yield share, [flow for flow in self.flows if (_service(flow.root), _service(flow.service)) == called]

    def _by_callee(self, kind: str) -> dict[Subject, list[Flow]]:
        """The flows to each subject of a kind; a Service is called as itself, and as the root of a split."""
        if kind not in self._called:
            found: dict[Subject, list[Flow]] = defaultdict(list)
            for flow in self.flows:
                for callee in self._callees(kind, flow):
                    found[callee].append(flow)
            self._called[kind] = found
        return self._called[kind]

    def _callees(self, kind: str, flow: Flow) -> set[Subject]:
        if kind == "Service":
            return {_as_service(port) for port in (flow.service, flow.root) if port}
        callee = self._subject(kind, flow.destination)
        return {callee} if callee else set()

    def _subject(self, kind: str, pod: str) -> Subject | None:
        workload = self.pods.get(pod)
        return containing(kind, workload) if workload else None

    def _caller(self, kind: str, flow: Flow) -> Subject | None:
        """The other end, as the same kind of thing where it is one; else what runs it."""
        workload = self.pods.get(flow.source)
        return (containing(kind, workload) or owner(workload)) if workload else None

    def _callee(self, kind: str, flow: Flow) -> Subject | None:
        """As `_caller`; a call that reached no pod was made to a Service."""
        workload = self.pods.get(flow.destination)
        if workload:
            return containing(kind, workload) or owner(workload)
        return _as_service(flow.service) if flow.service else None

    def _by_end(
        self,
        subject: Subject,
        direction: str,
        flows: Iterable[Flow],
        end: Callable[[Flow], Subject | None],
        backend: Json | None = None,
    ) -> Iterator[Json]:
        grouped: dict[tuple[Subject, str], list[Outcome]] = defaultdict(list)
        for flow in flows:
            if other := end(flow):
                caller = self.pods.get(flow.source)
                grouped[other, "client" if caller and caller.meshed else "server"].append(self.flows[flow])
        for (other, side), outcomes in sorted(grouped.items(), key=lambda item: item[0]):
            yield self._metrics(subject, direction, side, other.reference(), outcomes, backend)

    def _metrics(
        self,
        subject: Subject,
        direction: str,
        side: str,
        other: Json,
        outcomes: Iterable[Outcome],
        backend: Json | None,
    ) -> Json:
        total = Outcome()
        for outcome in outcomes:
            total.add(outcome)
        latencies = ((name, percentile(total.latency, share) or 0.0) for name, share in _PERCENTILES.items())
        return {
            "kind": "TrafficMetrics",
            "apiVersion": GROUP_VERSION,
            "metadata": {key: value for key, value in subject.reference().items() if key in {"name", "namespace"}},
            "resource": subject.reference(),
            "edge": {"direction": direction, "side": side, "resource": other},
            **({"backend": backend} if backend else {}),
            "timestamp": datetime.fromtimestamp(self.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "window": f"{self.window}s",
            "metrics": [
                *({"name": name, "unit": "ms", "value": quantity(value)} for name, value in latencies),
                {"name": "success_count", "value": str(total.successes)},
                {"name": "failure_count", "value": str(total.failures)},
            ],
        }


def quantity(value: float) -> str:
    """A number as a Kubernetes quantity, to the thousandth: ``1800m``, ``11``."""
    thousandths = round(value * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def _service(port: str) -> str:
    """The Service of a Service port."""
    return port.partition("|")[0]


def _as_service(port: str) -> Subject:
    namespace, _, name = _service(port).partition("/")
    return Subject("Service", namespace, name)
