"""Why was it refused, what would allow it, what would change, and what is the least that admits what was seen?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshlab.kube import load
from meshlab.lab import reading, recorded
from meshlab.lab.audit import audit
from meshlab.lab.explain import explain, of_request, write
from meshlab.lab.learned import learn_policies
from meshlab.lab.recorded import Recorded
from meshlab.lab.seen import see
from meshlab.lab.verify import verify
from meshlab.lab.what_if import what_if

if TYPE_CHECKING:
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

CALLS = 30
SHOP = {"bookstore/bookstore", "bookwarehouse/bookwarehouse"}
STRICT = load("""
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: meshlab-mesh-config, namespace: meshlab-system}
spec: {traffic: {enablePermissiveTrafficPolicyMode: false}}
""")


async def of_the_shop(story: Story) -> list[Recorded]:
    """What the demo's HTTP clients asked for; other tests may have asked the same apps for other things."""
    return [
        kind
        for kind in await recorded.kinds(story.kube)
        if str(kind.request.destination) in SHOP
        and kind.request.is_http
        and str(kind.request.source) in {"bookbuyer/bookbuyer", "bookthief/bookthief", "bookstore/bookstore"}
    ]


async def test_the_learned_set_admits_all_that_was_seen_and_no_rule_of_it_can_be_left_out(story: Story) -> None:
    await story.count("bookthief", CALLS)
    seen = await of_the_shop(story)
    learned = learn_policies(seen, refused=True).objects
    known = await reading.of_cluster(story.kube)
    assert not what_if(known, seen, [*learned, *STRICT]).flips
    for target in (obj for obj in learned if obj["kind"] == "TrafficTarget"):
        fewer = [obj for obj in learned if obj is not target]
        assert what_if(known, seen, [*fewer, *STRICT]).flips
    for group in (obj for obj in learned if obj["kind"] == "HTTPRouteGroup"):
        for match in group["spec"]["matches"]:
            rest = [other for other in group["spec"]["matches"] if other is not match]
            fewer = [obj for obj in learned if obj is not group]
            fewer.append({**group, "spec": {"matches": rest}})
            assert what_if(known, seen, [*fewer, *STRICT]).flips
    for obj in learned:
        await story.apply(obj)
    try:
        await story.mode(permissive=False)
        for client in ("bookbuyer", "bookthief"):
            assert set((await story.count(client, CALLS)).statuses) == {"200"}
        await story.delete(next(obj for obj in learned if obj["metadata"]["namespace"] == "bookstore"))
        assert set((await story.count("bookbuyer", CALLS)).statuses) == {"403"}
    finally:
        for obj in learned:
            await story.delete(obj)


async def test_a_refusal_is_explained_from_the_record_and_the_change_it_proposes_allows_it(story: Story) -> None:
    await story.policies()
    await story.mode(permissive=False)
    assert set((await story.count("bookthief", CALLS)).statuses) == {"403"}
    known = await reading.of_cluster(story.kube)
    rows = await recorded.newest(story.kube, 100)
    row = next(row for row in rows if row["source"] == "bookthief/bookthief" and row["refused"])
    found = of_request(known, row)
    assert "the server's proxy refused it: no policy admits the request" in str(found)
    assert "bookthief/bookthief is not among its sources (bookbuyer/bookbuyer)" in str(found)
    chain = verify(await see(story.kube), "bookthief", "bookstore")
    assert list(chain.broken()) == ["policy"], str(chain)
    assert found.proposal
    receipt = await write(story.kube, found.proposal.objects)
    assert receipt.ok
    assert set((await story.count("bookthief", CALLS)).statuses) == {"200"}
    assert explain(await reading.of_cluster(story.kube), "bookthief", "bookstore", "GET /buy-a-book/new").allowed
    whole = verify(await see(story.kube), "bookthief", "bookstore")
    assert whole.ok, str(whole)


async def test_what_if_foretells_what_strict_mode_refuses(story: Story) -> None:
    await story.policies()
    await story.count("bookbuyer", CALLS)
    seen = [kind for kind in await of_the_shop(story) if kind.looked_for >= {"client-app", "user-agent"}]
    foretold = what_if(await reading.of_cluster(story.kube), seen, STRICT)
    assert {str(flip.recorded.request.source) for flip in foretold.flips} == {"bookthief/bookthief"}
    assert not foretold.undetermined
    uncovered = audit((await reading.of_cluster(story.kube)).world, seen).uncovered
    assert {str(kind.request.source) for kind in uncovered} == {"bookthief/bookthief"}
    await story.mode(permissive=False)
    assert set((await story.count("bookthief", CALLS)).statuses) == {"403"}
    assert set((await story.count("bookbuyer", CALLS)).statuses) == {"200"}
