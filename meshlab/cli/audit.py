"""`meshlab audit`: who talked to whom, allowed by what, and which policies does nobody need?"""

from __future__ import annotations

import argparse
import asyncio

from meshlab.cli.asking import lab_of
from meshlab.cli.options import Verbs, add_verb
from meshlab.lab import reading, recorded
from meshlab.lab.audit import audit
from meshlab.lab.learned import learn_policies


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(
        verbs, "audit", run, "hold the recorded calls against the policies: what is uncovered, what unused"
    )
    parser.add_argument(
        "--learn", action="store_true", help="print instead the TrafficTargets that admit what was seen"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the audit, or the YAML that would admit what was seen."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with lab_of(arguments) as kube:
        known, seen = await reading.of_cluster(kube), await recorded.kinds(kube)
    if arguments.learn:
        print(learn_policies(recorded.for_targets(seen, known.world)).yaml)
    else:
        print(audit(known.world, seen))
    return 0
