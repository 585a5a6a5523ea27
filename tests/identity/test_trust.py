"""A root is replaced in steps, and whoever meets meanwhile is proven to the other."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlab.errors import IdentityError
from meshlab.identity import CertificateAuthority
from meshlab.identity.authority import Authority
from meshlab.identity.trust import Trust, advance


def made_up(name: str) -> Authority:
    return Authority(name, "cluster.local", f"root of {name}\n")


OLD, NEW, THIRD = (made_up(name) for name in ("old", "new", "third"))


def test_a_root_is_replaced_in_three_steps_that_each_wait_for_everybody():
    wanted, steps = Trust.in_one(NEW), [Trust.in_one(OLD)]
    while steps[-1] != wanted:
        steps.append(advance(steps[-1], wanted, settled=True))
    assert [(step.signer, set(step.trusted)) for step in steps] == [
        (OLD, {OLD}),
        (OLD, {OLD, NEW}),
        (NEW, {OLD, NEW}),
        (NEW, {NEW}),
    ]


def test_until_everybody_has_taken_a_step_nothing_but_more_trust_follows():
    both = advance(Trust.in_one(OLD), Trust.in_one(NEW), settled=False)
    assert advance(both, Trust.in_one(NEW), settled=False) == both
    assert set(advance(both, Trust.in_one(THIRD), settled=False).trusted) == {OLD, NEW, THIRD}


@dataclass
class Proxy:
    """What one has taken so far: roots and certificate arrive one after the other."""

    roots: set[str]
    shows: str


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from([OLD, NEW, THIRD]), min_size=1, max_size=4))
def test_whatever_the_order_of_arrival_any_two_are_proven_to_each_other(chance: random.Random, goals: list[Authority]):
    now = Trust.in_one(OLD)
    proxies = [Proxy({OLD.id}, OLD.id) for _ in range(4)]
    for goal in goals:
        for _ in range(40):
            for proxy in proxies:
                if chance.random() < 0.3:
                    proxy.roots = {authority.id for authority in now.trusted}
                if chance.random() < 0.3:
                    proxy.shows = now.signer.id
                assert all(other.shows in proxy.roots for other in proxies)
            wanted = {authority.id for authority in now.trusted}
            settled = all(proxy.roots == wanted and proxy.shows == now.signer.id for proxy in proxies)
            now = advance(now, Trust.in_one(goal), settled=settled)


async def test_it_survives_its_storage():
    one, other = [await Authority.of(name, CertificateAuthority.create()) for name in ("one", "other")]
    trust = Trust(other, (one, other))
    again = Trust.from_json(trust.to_json())
    assert again == trust
    assert again.version == trust.version
    assert again.bundle.count(b"BEGIN CERTIFICATE") == 2


@pytest.mark.parametrize("body", [b"", b"{}", b'{"signer": "x", "trusted": []}', b'{"signer": "x", "trusted": [{}]}'])
def test_what_is_no_trust_is_refused(body: bytes):
    with pytest.raises(IdentityError, match="ML402"):
        Trust.from_json(body)


async def test_keys_are_in_no_repr():
    authority = await Authority.of("root", CertificateAuthority.create())
    assert "PRIVATE" not in repr(Trust.in_one(authority))
