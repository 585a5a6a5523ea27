"""What was heard of an edge, and how is it shown? As a table, in words, and as a frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from html import escape

import pandas as pd

WIRE, INSIDE = "on the wire", "inside the pod"

_SHOWN = 14
_SHOWN_BYTES = 48
_COLUMNS = ("where", "source", "destination", "bytes", "start", "verdict")


@dataclass(frozen=True, slots=True)
class Heard:
    """One TCP segment."""

    where: str
    """``on the wire`` or ``inside the pod``."""
    source: str
    destination: str
    bytes: int
    start: str
    """The first bytes as text; what is no printable letter is a dot."""
    verdict: str
    """What it is: ``TLS record (application data)``, ``plain HTTP``, …"""
    time: float = field(repr=False)
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Wiretap:
    """What was heard of one edge."""

    edge: str
    pod: str
    seconds: float
    segments: tuple[Heard, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per segment."""
        columns = [*_COLUMNS, "time"]
        return pd.DataFrame.from_records([asdict(heard) for heard in self.segments], columns=columns)

    @property
    def summary(self) -> str:
        """Two sentences: what passed on the wire, and what inside the pod."""
        return " ".join(_sentence(where, self.verdicts(where)) for where in (WIRE, INSIDE))

    def verdicts(self, where: str) -> Counter[str]:
        """What was heard at a place, with counts: without the details in brackets."""
        return Counter(heard.verdict.partition(" (")[0] for heard in self.segments if heard.where == where)

    def __repr__(self) -> str:
        rows = [_COLUMNS, *(tuple(map(str, _cells(heard))) for heard in self.segments[:_SHOWN])]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self._title, *lines, *self._rest, self.summary])

    def _repr_html_(self) -> str:
        left = "style='text-align:left'"
        head = "".join(f"<th {left}>{name}</th>" for name in _COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td {left}>{_html(name, cell)}</td>" for name, cell in zip(_COLUMNS, row, strict=True))
            for row in map(_cells, self.segments[:_SHOWN])
        )
        words = "".join(f"<p>{escape(text)}</p>" for text in (*self._rest, self.summary))
        return f"<p>{escape(self._title)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{words}"

    @property
    def _title(self) -> str:
        return f"{self.edge}, heard for {self.seconds:g} s in pod {self.pod}"

    @property
    def _rest(self) -> list[str]:
        more = len(self.segments) - _SHOWN
        return [f"… and {more} more: to_frame() has them all"] if more > 0 else []


def _cells(heard: Heard) -> tuple[str, ...]:
    return tuple(str(getattr(heard, name))[:_SHOWN_BYTES] for name in _COLUMNS)


def _html(name: str, cell: str) -> str:
    return f"<code>{escape(cell)}</code>" if name == "start" else escape(cell)


def _sentence(where: str, found: Counter[str]) -> str:
    if not found:
        return f"{where.capitalize()}: nothing."
    return f"{where.capitalize()}: {', '.join(f'{what} ({count})' for what, count in found.most_common())}."
