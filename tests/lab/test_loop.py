import asyncio
import threading

import pytest

from meshlab.lab.loop import LabLoop

PATIENCE = 10


@pytest.fixture
def loop():
    return LabLoop()


async def answer() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


async def fail() -> None:
    raise ValueError("broken on purpose")


def test_a_cell_waits_for_work_done_on_the_labs_thread(loop) -> None:
    assert loop.run(answer()) == "meshlab-lab"


async def test_any_other_loop_can_await_it(loop) -> None:
    assert await loop.wait(answer()) == "meshlab-lab"


def test_an_error_reaches_the_cell_that_waits(loop) -> None:
    with pytest.raises(ValueError, match="broken on purpose"):
        loop.run(fail())


def test_an_error_of_handed_over_work_is_told_and_not_lost(loop) -> None:
    told, heard = threading.Event(), []

    def on_error(error: BaseException) -> None:
        heard.append(str(error))
        told.set()

    loop.start(fail(), on_error)
    assert told.wait(PATIENCE)
    assert heard == ["broken on purpose"]


def test_an_error_that_cant_be_shown_is_logged(loop, caplog) -> None:
    tried = threading.Event()

    def on_error(error: BaseException) -> None:
        tried.set()
        raise RuntimeError("the widget is gone")

    loop.start(fail(), on_error)
    assert tried.wait(PATIENCE)
    loop.run(answer())
    assert "could not be shown" in caplog.text


def test_the_labs_thread_is_told_not_to_wait_for_itself(loop) -> None:
    async def waits() -> None:
        loop.run(answer())

    with pytest.raises(RuntimeError, match="await instead"):
        loop.run(waits())
