"""Does the embedded API server answer as a real one? One test for each case of `cases/`."""

from __future__ import annotations

import pytest

from .cases import CASES, EVERYWHERE, LISTED, Case
from .conftest import Pair


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_servers_answer_alike(pair: Pair, case: Case) -> None:
    found = pair.compare(case)
    listed = LISTED.get(str(case), set())
    wheres = [difference.where for difference in found]
    unlisted = [each for each in found if not any(_is_within(each.where, place) for place in listed)]
    assert not unlisted, "\n" + "\n".join(map(str, unlisted))
    gone = [place for place in listed if not any(_is_within(where, place) for where in wheres)]
    assert not gone, f"docs/api-differences.yaml lists what no longer differs: {', '.join(sorted(gone))}"


def _is_within(where: str, place: str) -> bool:
    """Whether a difference is at a place, or in a part of what is there."""
    return where == place or where.startswith((f"{place}.", f"{place}["))


def test_every_listed_difference_names_a_case() -> None:
    assert set(LISTED) <= {str(case) for case in CASES}


def test_what_is_said_to_differ_everywhere_differs_somewhere(pair: Pair) -> None:
    unseen = [pattern.pattern for pattern in EVERYWHERE if pattern.pattern not in pair.seen_everywhere]
    if len(pair.equal) == len(CASES):
        assert not unseen, f"docs/api-differences.yaml lists what no longer differs: {unseen}"
