"""What changed in one resource? Its YAML before and after, line against line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from html import escape
from typing import Any

from meshlab.kube import dump

_CONTEXT = 2
_TINT = {"+": "rgba(46,160,67,.18)", "-": "rgba(248,81,73,.18)", "@": "rgba(128,128,128,.18)"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A resource of a proxy, before and after."""

    kind: str
    name: str
    before: Mapping[str, Any] | None
    """None: it is new."""
    after: Mapping[str, Any] | None
    """None: it is gone."""

    @property
    def title(self) -> str:
        """Which resource, and whether it is new or gone."""
        fate = "" if self.before and self.after else ", new" if self.after else ", gone"
        return f"{self.kind} {self.name}{fate}"

    def lines(self) -> Iterator[str]:
        """Lines with + and - before them, and two around each change."""
        before, after = (dump(dict(body)).splitlines() if body else [] for body in (self.before, self.after))
        diff = unified_diff(before, after, lineterm="", n=_CONTEXT)
        return (line for line in diff if not line.startswith(("---", "+++")))

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {line}" for line in self.lines())])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<div>{escape(self.title)}</div>{self.html()}"

    def html(self) -> str:
        """The lines as a block; signs and shades say the same."""
        rows = "".join(
            f"<div style='background:{_TINT.get(line[:1], 'none')}'>{escape(line)}</div>" for line in self.lines()
        )
        return f"<pre style='margin:0 0 .5em 1em;line-height:1.25'>{rows}</pre>"
