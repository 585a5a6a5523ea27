"""Do `decide` and real Envoys agree? 20,000 random calls and connections under random policies, drawn anew each time.

Prints how many were asked and how many answers differed, and ends with the first that did.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "dataplane"))

from agreement import Shop, shop
from loopback_mesh import Mesh
from situations import Situation, situations

PAIRS, CALLS = 20_000, 72
TCP_PAIRS = 8
"""Each situation asks for as many TCP connections, too."""


def ask(runner: asyncio.Runner, opened: Shop) -> None:
    @settings(
        max_examples=PAIRS // (CALLS + TCP_PAIRS),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(situation=situations(CALLS))
    def agree(situation: Situation) -> None:
        runner.run(opened.check(situation))

    agree()


def main() -> None:
    with asyncio.Runner() as runner:
        mesh = Mesh()
        runner.run(mesh.__aenter__())
        try:
            opening = shop(mesh)
            opened = runner.run(opening.__aenter__())
            start = time.monotonic()
            ask(runner, opened)
            seconds = time.monotonic() - start
        finally:
            runner.run(mesh.__aexit__())
    cured = {"cured by a request", "cured by a policy"}
    pairs = sum(count for what, count in opened.asked.items() if what not in cured)
    print(f"{pairs:,} pairs in {seconds:.0f} s, 0 disagreements")
    for what, count in sorted(opened.asked.items()):
        print(f"{count:8,}  {what}")


if __name__ == "__main__":
    main()
