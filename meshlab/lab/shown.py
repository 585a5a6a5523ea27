"""How does a result of several lines show itself, in a terminal and in a notebook?"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Shown:
    """Lines with leading spaces for depth: as they are in a terminal, as nested blocks in a notebook.

    Marks (✓, ✗) and words say everything; no colour does.
    """

    def lines(self) -> Iterable[str]:
        """What it says; the first line is the title."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head, *rest = self.lines()
        body = "".join(
            f"<div style='padding-left:{len(line) - len(line.lstrip())}ch'>{escape(line.strip())}</div>"
            for line in rest
        )
        return f"<div><b>{escape(head)}</b>{body}</div>"
