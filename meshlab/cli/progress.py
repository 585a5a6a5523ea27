"""How do the steps of an installation look in a terminal? A line each, and a spinner on the one that runs."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from meshlab.lab.steps import Outcome, Report


class StepsOnTerminal:
    """A listener of steps. Where the output is no terminal only finished steps are written, one line each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Status("", console=console)

    def __enter__(self) -> Self:
        self._spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spinner.stop()

    def __call__(self, report: Report) -> None:
        """Show one report."""
        detail = f" [dim]({escape(report.detail)})[/dim]" if report.detail else ""
        if report.outcome is Outcome.RUNNING:
            self._spinner.update(f"{report.sentence}{detail}")
            return
        colour = "green" if report.outcome is Outcome.DONE else "red"
        line = f"[{colour}]{report.outcome.mark}[/{colour}] {report.sentence}{detail}"
        self._console.print(f"{line} [dim]{report.seconds:.1f} s[/dim]", soft_wrap=True)
