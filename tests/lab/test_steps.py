import asyncio

import pytest

from meshlab.errors import ClusterError
from meshlab.lab.steps import Outcome, Report, Say, Step, Steps


async def fine(say: Say) -> str:
    say("half way")
    return "3 things"


async def broken(_: Say) -> str:
    raise ClusterError("ML111", "Permission denied")


async def test_every_step_is_told_when_it_begins_speaks_and_ends() -> None:
    heard: list[Report] = []
    await Steps(heard.append).run([Step("Do it", fine)])
    assert [(report.outcome, report.detail) for report in heard] == [
        (Outcome.RUNNING, ""),
        (Outcome.RUNNING, "half way"),
        (Outcome.DONE, "3 things"),
    ]
    assert str(heard[-1]).startswith("✓ Do it (3 things) 0.")


async def test_the_first_step_that_fails_ends_the_list_with_its_reason() -> None:
    heard: list[Report] = []
    steps = Steps(heard.append)
    with pytest.raises(ClusterError):
        await steps.run([Step("One", fine), Step("Two", broken), Step("Three", fine)])
    assert [(report.sentence, report.outcome) for report in steps.taken] == [
        ("One", Outcome.DONE),
        ("Two", Outcome.FAILED),
    ]
    assert str(heard[-1]).startswith("✗ Two (ML111: Permission denied)")


async def test_an_interrupted_step_is_marked_as_failed() -> None:
    begun = asyncio.Event()

    async def endless(_: Say) -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    steps = Steps(lambda _: None)
    running = asyncio.create_task(steps.run([Step("Wait", endless)]))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert steps.taken[0].outcome is Outcome.FAILED
