"""Each thing is built once, and kept as long as somebody uses it."""

from __future__ import annotations

from meshlab.dataplane.envoy.once import once


class Built:
    """Something that can be let go of."""


def test_of_the_same_objects_one_thing_is_built_while_it_is_used():
    built: list[object] = []

    @once
    def build(items: list[int], *, name: str) -> Built:
        built.append((items, name))
        return Built()

    items, equal = [1], [1]
    first = build(items, name="a")
    assert build(items, name="a") is first
    assert build(equal, name="a") is not first
    assert build(items, name="b") is not first
    assert len(built) == 3
    del first
    build(items, name="a")
    assert len(built) == 4


def test_nothing_is_kept_of_what_nobody_uses():
    @once
    def build(items: list[int]) -> Built:
        return Built()

    for _ in range(100):
        build([1])
    assert _remembered(build) == {}


def _remembered(build: object) -> dict[object, object]:
    cells = (cell.cell_contents for cell in build.__closure__)  # type: ignore[attr-defined]
    return next(content for content in cells if isinstance(content, dict))
