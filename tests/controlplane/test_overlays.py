"""Which overlays are in force: those that were tried and taken; a wrong one leaves the last good one where it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from meshlab.controlplane.overlay_status import OverlayStatuses
from meshlab.controlplane.overlays import OverlayKeeper
from meshlab.controlplane.reader import Seen
from meshlab.dataplane.raw import Change, Misfit, Overlaid
from meshlab.kube import Kind, Object, Ref
from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.finding import Finding
from meshlab.mesh.identity import Identity
from meshlab.mesh.overlay import Direction, Filter, Language, Overlay, Patch
from meshlab.mesh.service import Workload
from meshlab.mesh.world import World
from meshlab.xds import Proxies, Resource, Snapshot, TypeStatus

STORE = Identity("bookstore", "bookstore")
PODS = tuple(
    Workload("bookstore", f"store-{n}", STORE, owner=("Deployment", f"store-{n}"), meshed=True) for n in (1, 2)
)
BASE = Resource.of("words", StringValue(value="plain"))
URL = BASE.type_url
WORLD = World(workloads=PODS)
MODULE = Filter("stamp", Direction.INBOUND, Language.WASM, b"\0asm")


def overlay(says: str, **more: Any) -> Overlay:
    return Overlay("bookstore", "o", patches=(Patch("Route", "words", (says,)),), **more)


class Words:
    """A data plane whose resource is a word, and which refuses some."""

    def __init__(self) -> None:
        self.refuses: dict[str, str] = {}
        self.fits_not: set[str] = set()
        self.tried: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def overlay(self, snapshot: Snapshot, overlays: Sequence[Overlay]) -> Overlaid:
        changes = []
        for laid in overlays:
            if snapshot.owner in self.fits_not:
                return Overlaid(snapshot, misfits=(Misfit(laid, "spec.patches[0]", "no such thing", "look"),))
            (word,) = laid.patches[0].operations
            after = Resource.of("words", StringValue(value=word))
            changes.append(Change(laid, BASE, after))
            snapshot = Snapshot.of(snapshot.owner, [after])
        return Overlaid(snapshot, tuple(changes))

    async def examine(self, resources: Sequence[Resource]) -> str:
        await self.may_answer.wait()
        word = StringValue.FromString(resources[0].message().value).value
        self.tried.append(word)
        return self.refuses.get(word, "")

    def plain(self, reason: str) -> str:
        return reason

    def blames_filter(self, exchange: Exchange) -> bool:
        return exchange.details == "failed"


class Bench:
    """A keeper, what it is asked, and two proxies that answer."""

    def __init__(self) -> None:
        self.raw = Words()
        self.proxies = Proxies()
        self.objects: dict[tuple[str, str], Object] = {}
        self.overlaid: dict[str, Overlaid] = {}
        self.woken = asyncio.Event()
        self.status: Object = {}
        self.keeper = OverlayKeeper(self.raw, self.base, self.objects, self.overlaid, self.woken.set)  # type: ignore[arg-type]
        self.statuses = OverlayStatuses(self.keeper, self.proxies, self.objects, self.want)
        self.proxies.subscribe(self.statuses.hear_proxy)

    @staticmethod
    def base(_world: World, workload: Workload) -> Snapshot:
        return Snapshot.of(workload.name, [BASE])

    def want(self, _kind: Kind, _namespace: str, _name: str, status: Object) -> None:
        self.status = status

    def write(self, *overlays: Overlay, generation: int = 1) -> tuple[Overlay, ...]:
        """Have these be written, and turn."""
        self.wanted = overlays
        self.objects.clear()
        for item in overlays:
            metadata = {"name": item.name, "namespace": item.namespace, "generation": generation}
            self.objects[item.namespace, item.name] = {"metadata": metadata}
        return self.turn()

    def turn(self, findings: tuple[Finding, ...] = ()) -> tuple[Overlay, ...]:
        """What a turn of the loop does; the overlays in force."""
        in_force = self.keeper.select(replace(WORLD, overlays=self.wanted)).overlays
        for pod in PODS:
            node = f"{pod.name}.{pod.namespace}"
            self.overlaid.pop(node, None)
            if in_force:
                self.overlaid[node] = self.raw.overlay(self.base(WORLD, pod), in_force)
            generation = self.proxies[node].generation + 1
            self.proxies.update(node, generation=generation)
        self.statuses.hear_findings((*findings, *self.keeper.findings()))
        return in_force

    async def decided(self) -> tuple[Overlay, ...]:
        """Wait for the trials, and turn."""
        await self.keeper.tried()
        return self.turn()

    def answer(self, *, refused: str = "") -> None:
        """Both proxies answer for what they were told last."""
        for node in ("store-1.bookstore", "store-2.bookstore"):
            laid = self.overlaid.get(node)
            version = laid.snapshot.version_of(URL) if laid else ""
            types = MappingProxyType({URL: TypeStatus(version, "" if refused else version, refused)})
            self.proxies.update(node, settled=self.proxies[node].generation, types=types)


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_it_is_in_force_once_it_was_tried_out_and_not_before(bench: Bench):
    good = overlay("good")
    assert bench.write(good) == ()
    assert bench.status["state"] == "Pending"
    assert await bench.decided() == (good,)
    assert bench.woken.is_set()
    bench.answer()
    await asyncio.sleep(0)
    assert (bench.status["state"], bench.status["inForce"]) == ("Accepted", "this")
    assert bench.status["proxies"] == {"selected": 2, "changed": 2}
    assert bench.status["conditions"][0]["status"] == "True"


async def test_what_comes_to_the_same_is_tried_once_also_when_it_was_tried_before_it_was_stored(bench: Bench):
    bench.write()
    assert await bench.keeper.trial(overlay("good")) is None
    bench.write(overlay("good"))
    await bench.decided()
    await bench.decided()
    assert bench.raw.tried == ["good"]


async def test_what_the_trial_refuses_leaves_the_last_good_version_in_force(bench: Bench):
    good, bad = overlay("good"), overlay("bad")
    bench.raw.refuses["bad"] = "no word of ours"
    bench.write(good)
    await bench.decided()
    bench.answer()
    assert bench.write(bad, generation=2) == (good,)
    assert await bench.decided() == (good,)
    assert (bench.status["state"], bench.status["inForce"]) == ("Refused", "earlier")
    assert "no word of ours" in bench.status["reason"]
    assert bench.status["observedGeneration"] == 2


async def test_what_a_proxy_refuses_is_withdrawn_from_all(bench: Bench):
    good, taken = overlay("good"), overlay("taken")
    bench.write(good)
    await bench.decided()
    bench.answer()
    bench.write(taken)
    assert await bench.decided() == (taken,)
    bench.woken.clear()
    bench.answer(refused="words: address in use")
    assert bench.woken.is_set()
    assert bench.turn() == (good,)
    bench.answer()
    await asyncio.sleep(0)
    assert bench.turn() == (good,)
    assert (bench.status["state"], bench.status["inForce"]) == ("Refused", "earlier")
    assert "bookstore/store-1 says: words: address in use" in bench.status["reason"]


async def test_one_that_proxies_run_by_is_not_blamed_for_a_new_one(bench: Bench):
    good, bad = overlay("good"), replace(overlay("bad"), name="other")
    bench.write(good)
    await bench.decided()
    bench.answer()
    bench.write(good, bad)
    assert await bench.decided() == (good, bad)
    bench.answer(refused="words: no")
    assert bench.turn() == (good,)
    assert bench.keeper.look("bookstore/o").refusal is None


async def test_after_a_restart_those_that_proxies_ran_by_are_not_blamed_for_others(bench: Bench):
    good, bad = overlay("good"), replace(overlay("bad"), name="other")
    bench.objects["bookstore", "o"] = {
        "metadata": {"name": "o", "namespace": "bookstore", "generation": 1},
        "status": {"observedGeneration": 1, "inForce": "this", "proxies": {"changed": 2}},
    }
    bench.objects["bookstore", "other"] = {"metadata": {"name": "other", "namespace": "bookstore", "generation": 1}}
    bench.wanted = (good, bad)
    bench.turn()
    assert await bench.decided() == (good, bad)
    bench.answer(refused="words: no")
    assert bench.turn() == (good,)


async def test_an_old_refusal_is_not_held_against_what_follows(bench: Bench):
    first, second = overlay("first"), overlay("second")
    bench.write(first)
    await bench.decided()
    bench.answer(refused="words: no")
    bench.write(second)
    assert await bench.decided() == (second,)
    status = bench.proxies["store-1.bookstore"]
    assert status.refused  # it has not heard of the second yet
    bench.keeper.hear(status)
    assert bench.turn() == (second,)


async def test_what_can_not_be_read_leaves_the_last_good_version_in_force(bench: Bench):
    good = overlay("good")
    bench.write(good)
    await bench.decided()
    bench.answer()
    bench.wanted = ()
    wrong = Finding("ML601", "ProxyOverlay bookstore/o", "spec.patches[0]", "no pointer", "begin with /")
    assert bench.turn((wrong,)) == (good,)
    assert (bench.status["state"], bench.status["inForce"]) == ("Refused", "earlier")


async def test_a_deleted_one_is_gone_and_forgotten(bench: Bench):
    bench.write(overlay("good"))
    await bench.decided()
    bench.answer()
    assert bench.write() == ()
    assert bench.write(overlay("good")) == ()  # tried anew


async def test_where_it_fits_no_proxy_it_is_refused_and_where_it_fits_some_they_have_it(bench: Bench):
    bench.raw.fits_not = {"store-1"}
    some = overlay("some")
    bench.write(some)
    assert await bench.decided() == (some,)
    bench.answer()
    assert [(item.code, str(item.severity)) for item in bench.keeper.findings()] == [("ML601", "warning")]
    bench.raw.fits_not = {"store-1", "store-2"}
    bench.write(overlay("none"))
    assert await bench.decided() == (some,)
    assert bench.status["state"] == "Refused"


async def test_without_a_proxy_there_is_nothing_to_try(bench: Bench):
    bench.write(overlay("good", labels=(("app", "other"),)))
    await bench.decided()
    assert bench.raw.tried == []
    assert [item.code for item in bench.keeper.findings()] == ["ML605"]
    assert bench.status["state"] == "Pending"


async def test_a_filter_that_fails_is_told_by_its_name(bench: Bench):
    failing = replace(overlay("good"), filters=(MODULE,))
    bench.write(failing)
    await bench.decided()
    bench.answer()
    bench.keeper.note(Exchange(Side.CLIENT, 0.0, "bookstore/store-1", None, None, details="failed"))
    assert list(bench.keeper.findings()) == []  # it sees the other direction
    bench.keeper.note(Exchange(Side.SERVER, 0.0, "bookstore/store-1", None, None, details="failed"))
    bench.turn()
    bench.answer()
    await asyncio.sleep(0)
    assert bench.status["state"] == "Failing"
    assert "stamp failed in the proxy of bookstore/store-1" in bench.status["reason"]


async def test_a_change_is_told_of_when_its_meaning_is_known(bench: Bench):
    bench.raw.may_answer.clear()
    bench.write(overlay("good"))
    change = Seen(Ref("ProxyOverlay", "o", "bookstore"), "7", deleted=False, time=0.0)
    assert bench.keeper.awaits(change)
    assert not bench.keeper.awaits(replace(change, ref=Ref("ProxyOverlay", "other", "bookstore")))
    bench.raw.may_answer.set()
    await bench.decided()
    assert not bench.keeper.awaits(change)
