"""How does Prometheus read what happened? Counters since the start, in its text format."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meshlab.observe.entries import Edge, Report
from meshlab.observe.windows import MAX_EDGES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)


@dataclass(slots=True)
class _Total:
    statuses: Counter[int] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))
    sum_ms: float = 0.0


class Totals:
    """Requests and latencies of each edge since the control plane started."""

    def __init__(self) -> None:
        self._totals: OrderedDict[Edge, _Total] = OrderedDict()

    def note(self, report: Report) -> None:
        """Count one report; beyond `MAX_EDGES` the edge that was quiet longest starts anew."""
        if not report.counts:
            return
        total = self._totals.setdefault(report.edge, _Total())
        self._totals.move_to_end(report.edge)
        if len(self._totals) > MAX_EDGES:
            self._totals.popitem(last=False)
        total.statuses[report.exchange.status] += 1
        total.sum_ms += report.exchange.duration_ms
        for index, bound in enumerate(_BOUNDS):
            total.buckets[index] += report.exchange.duration_ms <= bound

    def text(self) -> Iterator[str]:
        """The lines of the exposition format."""
        yield "# HELP meshlab_requests_total Requests by edge and status, each counted once."
        yield "# TYPE meshlab_requests_total counter"
        edges = sorted(self._totals.items())
        for edge, total in edges:
            for status, count in sorted(total.statuses.items()):
                yield f"meshlab_requests_total{{{_labels(edge)},status={_quoted(str(status))}}} {count}"
        yield "# HELP meshlab_request_duration_ms Latency by edge, as the caller's proxy saw it."
        yield "# TYPE meshlab_request_duration_ms histogram"
        for edge, total in edges:
            labels, count = _labels(edge), total.statuses.total()
            for bound, reached in zip(_BOUNDS, total.buckets, strict=True):
                yield f'meshlab_request_duration_ms_bucket{{{labels},le="{bound}"}} {reached}'
            yield f'meshlab_request_duration_ms_bucket{{{labels},le="+Inf"}} {count}'
            yield f"meshlab_request_duration_ms_sum{{{labels}}} {total.sum_ms:g}"
            yield f"meshlab_request_duration_ms_count{{{labels}}} {count}"


def gauges(figures: Mapping[str, tuple[str, float]]) -> Iterator[str]:
    """Plain figures: name → (help, value)."""
    for name, (explanation, value) in figures.items():
        yield f"# HELP {name} {explanation}"
        yield f"# TYPE {name} gauge"
        yield f"{name} {value:g}"


def _labels(edge: Edge) -> str:
    pairs = {
        "source": edge.source,
        "source_workload": edge.source_workload,
        "destination": edge.destination,
        "destination_workload": edge.destination_workload,
        "service": edge.service,
        "root": edge.root,
        "version": edge.version,
    }
    return ",".join(f"{name}={_quoted(value)}" for name, value in pairs.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'
