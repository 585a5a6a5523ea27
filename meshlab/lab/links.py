"""How does one show a chain of things that have to hold? As a tree: ✓ holds, ✗ broken, ? not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshlab.lab.shown import Shown

_MARKS = {True: "✓", False: "✗", None: "?"}


@dataclass(frozen=True, repr=False)
class Link(Shown):
    """One thing that has to hold, or several together."""

    name: str
    ok: bool | None = None
    """None: not known; of several together, worked out from these."""
    reason: str = ""
    hint: str = ""
    parts: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        if self.parts:
            said = [part.ok for part in self.parts]
            object.__setattr__(self, "ok", False if False in said else None if None in said else True)

    def broken(self) -> Iterator[str]:
        """The names of what is broken, from the outside in: ``server bookstore/v1: sidecar``."""
        for part in self.parts:
            if part.ok is False:
                yield from (f"{part.name}: {inner}" for inner in part.broken()) if part.parts else (part.name,)

    def lines(self) -> Iterator[str]:
        """The tree, line by line."""
        reason = f": {self.reason}" if self.reason else ""
        yield f"{_MARKS[self.ok]} {self.name}{reason}"
        if self.hint and not self.ok:
            yield f"    Hint: {self.hint}"
        for part in self.parts:
            yield from (f"  {line}" for line in part.lines())
