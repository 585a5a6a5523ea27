"""A change costs what it concerns: the control plane's own loop, forty proxies on their own connections, 50 Services.

The proxies are those of `benchmarks/convergence.py`, which measures; here it is counted.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from fleet.control import Control
from fleet.fleet import fleet
from fleet.mesh import SERVICES, account, endpoints, pod, split, target

COUNT = 40
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def control() -> AsyncIterator[Control]:
    async with Control(COUNT) as control, fleet(control.authority) as proxies:
        await proxies.create(control.identities)
        await proxies.tell(do="discover", port=control.port)
        await control.all_settled(COUNT)
        yield control


async def responses(control: Control, *objects: dict[str, object]) -> int:
    before = control.ads.responses_sent
    await control.converge(objects)
    return control.ads.responses_sent - before


async def test_a_split_is_told_to_each_proxy_once(control: Control) -> None:
    assert await responses(control, split(7)) == COUNT


async def test_a_permission_is_told_to_its_destination_alone(control: Control) -> None:
    assert await responses(control, target(3, "buy")) == 1


async def test_a_new_pod_is_told_by_its_endpoints_and_its_address(control: Control) -> None:
    service = COUNT % SERVICES
    objects = account(COUNT), pod(COUNT), endpoints(service, range(service, COUNT + 1, SERVICES))
    # the cluster learns whom to expect there, and so it, the endpoints, and the two listeners' worth of chains go out
    assert await responses(control, *objects) <= 4 * COUNT


async def test_a_burst_of_changes_loses_nothing_and_repeats_nothing(control: Control) -> None:
    before = control.ads.responses_sent
    _, sent = await control.burst([split(weight) for weight in range(50, 70)], over=0.05)
    assert COUNT <= sent <= 20 * COUNT
    assert control.ads.responses_sent == before + sent
    assert await responses(control, split(69), split(70)) == COUNT


async def test_after_a_restart_nothing_is_sent_that_a_proxy_has(control: Control) -> None:
    _, sent, size = await control.restart(COUNT)
    assert (sent, size) == (0, 0)
    assert await responses(control, split(33)) == COUNT
