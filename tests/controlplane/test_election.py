"""Of several control planes one leads; another follows at once when it ends well, and after a while when it doesn't."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from meshlab.controlplane.election import NAME, Election, Terms
from meshlab.errors import ClusterError
from meshlab.kube import Kube, Object
from meshlab.kube.objects import LEASE

if TYPE_CHECKING:
    from tests.controlplane.conftest import Api, Eventually

NAMESPACE = "meshlab-system"
SHORT = Terms(lease=1, give_up=0.6, renew=0.1)
LONG = Terms(lease=60, give_up=30, renew=0.1)


@dataclass
class Line:
    """The way to the API server, which can be cut."""

    kube: Kube
    cut: bool = False
    stuck: bool = False

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            if self.cut:
                raise ClusterError("ML191", "the line is cut")
            if self.stuck:
                await asyncio.Future()
            return await getattr(self.kube, name)(*arguments, **options)

        return self.kube.lines if name == "lines" else call


class Candidate:
    """One that notes when it leads."""

    def __init__(self, kube: Kube, name: str, terms: Terms) -> None:
        self.name = name
        self.line = Line(kube)
        self.election = Election(self.line, NAMESPACE, name, terms)  # type: ignore[arg-type]
        self.leads = False
        self.changed_at = 0.0
        self._task = asyncio.create_task(self.election.run(self._lead))

    @asynccontextmanager
    async def _lead(self) -> AsyncIterator[None]:
        self.leads, self.changed_at = True, time.monotonic()
        try:
            yield
        finally:
            self.leads, self.changed_at = False, time.monotonic()

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def kill(self) -> None:
        """End it as SIGKILL does: it writes nothing more."""
        self.line.cut = True
        await self.end()


async def leader_and_follower(kube: Kube, terms: Terms, eventually: Eventually) -> tuple[Candidate, Candidate]:
    first = Candidate(kube, "first", terms)
    await eventually(lambda: first.leads, "the first leads")
    second = Candidate(kube, "second", terms)
    await eventually(lambda: second.election.leader == "first", "the second knows")
    return first, second


async def lease(api: Api) -> Object:
    return (await api.kube.get(LEASE, NAME, NAMESPACE))["spec"]  # type: ignore[no-any-return]


async def test_of_many_that_start_at_once_one_leads(api: Api, eventually: Eventually) -> None:
    candidates = [Candidate(api.kube, f"c{number}", LONG) for number in range(5)]
    await eventually(lambda: all(one.election.leader for one in candidates), "all know the leader")
    (leader,) = [one for one in candidates if one.leads]
    assert {one.election.leader for one in candidates} == {leader.name}
    assert (await lease(api))["holderIdentity"] == leader.name
    await asyncio.gather(*(one.end() for one in candidates))


async def test_one_that_ends_well_is_followed_at_once(api: Api, eventually: Eventually) -> None:
    first, second = await leader_and_follower(api.kube, LONG, eventually)
    began = time.monotonic()
    await first.end()
    await eventually(lambda: second.leads, "the second leads")
    assert second.changed_at - began < 1
    spec = await lease(api)
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)
    await second.end()
    assert (await lease(api))["holderIdentity"] == ""


async def test_one_that_is_killed_is_followed_when_its_lease_is_over_and_no_sooner(
    api: Api, eventually: Eventually
) -> None:
    first, second = await leader_and_follower(api.kube, SHORT, eventually)
    began = time.monotonic()
    await first.kill()
    await eventually(lambda: second.leads, "the second leads")
    assert SHORT.lease - SHORT.renew - 0.1 <= second.changed_at - began < SHORT.lease + 1
    await second.end()


async def test_one_that_is_killed_and_starts_again_in_the_same_pod_leads_on(api: Api, eventually: Eventually) -> None:
    first = Candidate(api.kube, "first", LONG)
    await eventually(lambda: first.leads, "the first leads")
    await first.kill()
    again = Candidate(api.kube, "first", LONG)
    await eventually(lambda: again.leads, "it leads again")
    assert (await lease(api))["leaseTransitions"] == 0
    await again.end()


@pytest.mark.parametrize("how", ["cut", "stuck"])
async def test_one_that_hears_nothing_has_stopped_before_another_leads(
    api: Api, eventually: Eventually, how: str
) -> None:
    first, second = await leader_and_follower(api.kube, SHORT, eventually)
    setattr(first.line, how, True)
    await eventually(lambda: second.leads, "the second leads")
    assert not first.leads
    assert first.changed_at < second.changed_at
    first.line.cut = first.line.stuck = False
    await eventually(lambda: first.election.leader == "second", "the first knows")
    await asyncio.gather(first.end(), second.end())


async def test_what_another_has_taken_is_not_taken_back(api: Api, eventually: Eventually) -> None:
    first = Candidate(api.kube, "first", LONG)
    await eventually(lambda: first.leads, "the first leads")
    taken = await api.kube.get(LEASE, NAME, NAMESPACE)
    await api.kube.patch(LEASE, NAME, {"spec": {"holderIdentity": "second"}}, NAMESPACE)
    await eventually(lambda: not first.leads, "the first leads no more")
    assert first.election.leader == (await lease(api))["holderIdentity"] == "second"
    first.election._note(taken)
    assert first.election.leader == "second", "late news are none"
    await first.end()
    assert (await lease(api))["holderIdentity"] == "second"


async def test_a_slow_answer_or_two_cost_nobody_the_lead(api: Api, eventually: Eventually) -> None:
    first = Candidate(api.kube, "first", Terms(lease=8, give_up=5, renew=0.1))
    await eventually(lambda: first.leads, "the first leads")
    first.line.cut = True
    await asyncio.sleep(0.3)  # two renewals, at least
    first.line.cut = False
    before = (await lease(api))["renewTime"]
    async with asyncio.timeout(5):
        while (await lease(api))["renewTime"] == before:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert first.leads
    assert first.election.leader == "first"
    await first.end()


async def test_a_lease_that_somebody_deletes_is_made_anew(api: Api) -> None:
    first = Candidate(api.kube, "first", LONG)
    async with asyncio.timeout(5):
        while await api.kube.find(LEASE, NAME, NAMESPACE) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await api.kube.delete(LEASE, NAME, NAMESPACE)
        while await api.kube.find(LEASE, NAME, NAMESPACE) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (await lease(api))["holderIdentity"] == "first"
    await first.end()


def test_terms_leave_time_to_stop_before_another_leads() -> None:
    terms = Terms()
    assert terms.renew * 2 < terms.give_up < terms.lease - 1
