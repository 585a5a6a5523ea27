"""What is happening while I wait? An installation is a list of sentences; each ends with ✓ or ✗.

The same list drives the terminal, the notebook and the log: each is a `Listener` that hears of a step when it
begins, when it has something to say, and when it ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from meshlab.errors import MeshlabError

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How far a step is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def mark(self) -> str:
        """One character for it."""
        return {"running": "•", "done": "✓", "failed": "✗"}[self]


@dataclass(frozen=True, slots=True)
class Report:
    """What a listener hears of a step: `number` of `total`, the sentence, how far it is, and a few words about it."""

    number: int
    total: int
    sentence: str
    outcome: Outcome = Outcome.RUNNING
    seconds: float = 0.0
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        took = "" if self.outcome is Outcome.RUNNING else f" {self.seconds:.1f} s"
        return f"{self.outcome.mark} {self.sentence}{detail}{took}"


Listener = Callable[[Report], None]
Say = Callable[[str], None]
"""How a running step tells what it waits for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One sentence and the work behind it. The work may say what it waits for; what it returns is shown at the end."""

    sentence: str
    work: Callable[[Say], Awaitable[str]]


@dataclass
class Steps:
    """The steps that were taken so far, with their seconds."""

    listener: Listener
    taken: list[Report] = field(default_factory=list)

    async def run(self, steps: Sequence[Step]) -> None:
        """Take the steps one after the other; the first that fails ends the list with its error."""
        for number, step in enumerate(steps, start=1):
            await self._take(step, Report(number, len(steps), step.sentence))

    async def _take(self, step: Step, report: Report) -> None:
        began = time.monotonic()

        def say(detail: str) -> None:
            self.listener(replace(report, detail=detail, seconds=time.monotonic() - began))

        self.listener(report)
        try:
            outcome, detail = Outcome.DONE, await step.work(say)
        except BaseException as error:
            outcome = Outcome.FAILED
            detail = f"{error.code}: {error.what}" if isinstance(error, MeshlabError) else type(error).__name__
            raise
        finally:
            last = replace(report, outcome=outcome, detail=detail, seconds=time.monotonic() - began)
            self.taken.append(last)
            self.listener(last)


def to_log(report: Report) -> None:
    """The listener that writes to the log."""
    if report.outcome is not Outcome.RUNNING:
        log.info("%s", report)
