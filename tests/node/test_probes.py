"""When a probe has decided: thresholds, periods, and haste before the first success."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from meshlab.cluster.embedded.node import probes
from meshlab.cluster.embedded.node.probes import Target, attempt, follow
from meshlab.cluster.embedded.node.runtime import Run, StartError

COMMAND = {"exec": {"command": ["check"]}}


class Answers:
    """A container whose command exits with one code after the other, then with the last one."""

    def __init__(self, *codes):
        self.codes = list(codes)
        self.asked = 0

    async def execute(self, argv, seconds):
        self.asked += 1
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        return Run(code, b"as told\n")

    @property
    def target(self):
        return Target("127.0.0.1", {"web": 1}, self.execute, None, None)


async def refuse(host, port):
    raise ConnectionRefusedError(111, "Connection refused")


async def first(count, probe, answers, *, eager):
    seen = []
    async with aclosing(follow({**COMMAND, "periodSeconds": 0.05, **probe}, answers.target, eager=eager)) as results:
        async for result, decided in results:
            seen.append((result.ok, decided))
            if len(seen) == count:
                break
    return seen


async def test_a_failure_is_decided_after_as_many_in_a_row_as_the_threshold_asks():
    probe, answers = {"failureThreshold": 2}, Answers(1, 0, 1, 1, 0)
    assert await first(5, probe, answers, eager=False) == [
        (False, False),
        (True, True),
        (False, False),
        (False, True),
        (True, True),
    ]


async def test_a_success_may_need_several_too():
    assert await first(2, {"successThreshold": 2}, Answers(0), eager=False) == [(True, False), (True, True)]


async def test_haste_finds_the_first_success_long_before_the_period_is_over():
    answers = Answers(1, 1, 1, 0)
    async with asyncio.timeout(5):
        assert await first(1, {"periodSeconds": 60}, answers, eager=True) == [(True, True)]
    assert answers.asked == 4


async def test_a_failure_in_haste_counts_once_a_period():
    answers = Answers(1)
    assert await first(2, {"failureThreshold": 2}, answers, eager=True) == [(False, False), (False, True)]
    assert answers.asked > 2


async def test_what_a_failing_command_wrote_is_the_reason():
    assert (await attempt(COMMAND, Answers(1).target)).why == "as told"
    assert "timed out after 3 s" in (await attempt({**COMMAND, "timeoutSeconds": 3}, Answers(None).target)).why


async def test_a_command_that_is_not_there_is_a_failure():
    async def execute(argv, seconds):
        raise StartError('exec: "check": executable file not found in $PATH')

    result = await attempt(COMMAND, Target("127.0.0.1", {}, execute, None, None))
    assert not result.ok
    assert "not found" in result.why


async def test_a_port_that_nobody_listens_on_is_a_failure(unused_tcp_port):
    probe = {"tcpSocket": {"port": "web"}}
    result = await probes.attempt(probe, Target("127.0.0.1", {"web": unused_tcp_port}, None, None, refuse))
    assert not result.ok
    assert result.why


@pytest.mark.parametrize(("port", "number"), [("web", 1), ("8080", 8080), (9, 9)])
def test_a_port_may_have_a_name(port, number):
    assert Answers(0).target.port(port) == number
