"""How is the traffic doing, right now? Lines that grow by one point twice a second.

Only the new point is sent; plotly.js goes to a page once, however many dashboards there are. Memory is bounded:
two minutes of points, and of each point the busiest edges.
"""

from __future__ import annotations

import gzip
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import traitlets

from meshlab.observe.latency import percentile
from meshlab.widgets.base import LabWidget, script, style

KEPT_POINTS = 240
WINDOW_SECONDS = 10.0
MAX_LINES = 8

Line = Mapping[str, Any]
Point = dict[str, Any]


class Dashboard(LabWidget):
    """Requests per second by version and by edge, success rate, latency.

    Every point tells of the last ten seconds, so a change shows in full after ten. It is fed by `heard` and
    `lost`, from any one thread.
    """

    _esm = script("dashboard")
    _css = style("dashboard")

    history = traitlets.Instance(deque).tag(sync=True, to_json=lambda points, _widget: list(points))
    """The points so far: what a page that opens late begins with. Never sent again."""

    def __init__(self) -> None:
        self._recent: deque[Line] = deque()
        super().__init__(history=deque(maxlen=KEPT_POINTS))
        self.on_msg(self._asked)

    def heard(self, line: Line) -> None:
        """A stretch of time has passed, as the stream says."""
        self._recent.append(line)
        while self._recent[-1]["t"] - self._recent[0]["t"] >= WINDOW_SECONDS:
            self._recent.popleft()
        newest = point(self._recent)
        self.history.append(newest)
        self.send({"type": "point", "point": newest})

    def lost(self, why: str) -> None:
        """The stream broke."""
        self.send({"type": "lost", "why": why})

    def text(self) -> str:
        """The newest figures."""
        if not self.history:
            return "The dashboard waits for the first requests."
        newest = self.history[-1]
        edges = (f"{edge} {rate:.1f}/s, {_success(newest, edge)} ok" for edge, rate in newest["edges"].items())
        return "\n".join(["Requests of the last ten seconds:", *edges, *_latency(newest)])

    def _asked(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        if content.get("type") == "plotly":
            self.send({"type": "plotly"}, buffers=[_plotly()])


def point(lines: Iterable[Line]) -> Point:
    """What these lines say together: rates by version and by edge, success in percent by edge, percentiles."""
    lines = list(lines)
    seconds = sum(line["window"] for line in lines)
    served: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    latency: Counter[float] = Counter()
    for edge in (edge for line in lines for edge in line["edges"]):
        name = edge_name(edge)
        asked[name] += edge["requests"]
        failed[name] += edge["failures"]
        served[edge["destination_workload"] or "unknown"] += edge["requests"] - edge["failures"]
        for bound, count in edge["latency"].items():
            latency[float(bound)] += count
    edges = dict(sorted(asked.most_common(MAX_LINES)))
    return {
        "t": lines[-1]["t"],
        "permissive": lines[-1]["permissive"],
        "versions": {name: round(count / seconds, 2) for name, count in sorted(served.most_common(MAX_LINES))},
        "edges": {name: round(count / seconds, 2) for name, count in edges.items()},
        "success": {name: round(100 - 100 * failed[name] / count, 1) for name, count in edges.items()},
        "latency": {"p50": percentile(latency, 0.5), "p99": percentile(latency, 0.99)} if latency else {},
    }


def edge_name(edge: Mapping[str, Any]) -> str:
    """``bookbuyer → bookstore``: who called, and which Service it asked for."""
    service = str(edge["root"] or edge["service"]).partition("|")[0].rpartition("/")[2]
    return f"{edge['source_workload'] or 'unknown'} → {service or 'unknown'}"


def _success(newest: Point, edge: str) -> str:
    return f"{newest['success'][edge]:g} %"


def _latency(newest: Point) -> list[str]:
    return [f"latency {name} {milliseconds:.1f} ms" for name, milliseconds in newest["latency"].items()]


@cache
def _plotly() -> bytes:
    """plotly.js, compressed: a page far away pays for 1.5 MB instead of 4.8."""
    return gzip.compress((files("plotly") / "package_data" / "plotly.min.js").read_bytes(), compresslevel=4)
