"""How far is it? The steps as they are taken: a list that grows in a notebook, a line each elsewhere."""

from __future__ import annotations

import queue
from collections.abc import Callable, Coroutine
from html import escape
from typing import Any, TypeVar

from IPython import get_ipython
from IPython.display import display
from rich.console import Console

from meshlab.lab.loop import LabLoop
from meshlab.lab.steps import Outcome, Report

T = TypeVar("T")
Show = Callable[[list[Report]], None]
_END = None


class Progress:
    """A listener on the lab's thread; what it hears is shown on the thread of the cell, where output belongs."""

    def __init__(self, loop: LabLoop) -> None:
        self._loop = loop
        self._heard: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._steps: dict[int, Report] = {}
        self._show = _notebook() if in_notebook() else _terminal()

    def hear(self, report: Report) -> None:
        """One report of a step."""
        self._heard.put(report)

    def follow(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it on the lab's loop and show its steps until it ends."""

        async def ends() -> T:
            try:
                return await work
            finally:
                self._heard.put(_END)

        future = self._loop.start(ends(), on_error=lambda _: None)
        try:
            while (report := self._heard.get()) is not _END:
                self._steps[report.number] = report
                self._show(list(self._steps.values()))
        except KeyboardInterrupt:
            future.cancel()
            raise
        return future.result()  # type: ignore[no-any-return]


def in_notebook() -> bool:
    """Whether there is a front end that shows HTML, and not a terminal."""
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def html(steps: list[Report]) -> str:
    """The steps as a list, with a bar."""
    newest = steps[-1]
    done = sum(step.outcome is Outcome.DONE for step in steps)
    bar = f"<progress max='{newest.total}' value='{done}' aria-label='steps done' style='width:20em'></progress>"
    rows = "".join(f"<li>{escape(str(step))}</li>" for step in steps)
    return f"<div>{bar} {done} of {newest.total}<ol style='list-style:none;padding:0;margin:.4em 0'>{rows}</ol></div>"


def text(steps: list[Report]) -> str:
    """The steps as lines."""
    return "\n".join(map(str, steps))


def _notebook() -> Show:
    handle = display({"text/plain": "…"}, raw=True, display_id=True)

    def show(steps: list[Report]) -> None:
        handle.update({"text/html": html(steps), "text/plain": text(steps)}, raw=True)

    return show


def _terminal() -> Show:
    console = Console(highlight=False, markup=False)

    def show(steps: list[Report]) -> None:
        if steps[-1].outcome is not Outcome.RUNNING:
            console.print(str(steps[-1]), soft_wrap=True)

    return show
