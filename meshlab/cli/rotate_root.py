"""`meshlab rotate-root`: replace the root of all identities while calls go on."""

from __future__ import annotations

import argparse
import asyncio

from rich.console import Console

from meshlab.cli.asking import lab_of
from meshlab.cli.options import Verbs, add_verb
from meshlab.cli.progress import StepsOnTerminal
from meshlab.lab.rotate_root import RotatedRoot, rotate_root


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    add_verb(verbs, "rotate-root", run, "replace the root certificate; each step waits until all proxies took the last")


def run(arguments: argparse.Namespace) -> int:
    """Take every step, showing each."""
    console = Console(highlight=False)
    with StepsOnTerminal(console) as progress:
        rotated = asyncio.run(_rotate(arguments, progress))
    console.print(next(iter(rotated.lines())), soft_wrap=True)
    return 0


async def _rotate(arguments: argparse.Namespace, progress: StepsOnTerminal) -> RotatedRoot:
    async with lab_of(arguments) as kube:
        return await rotate_root(kube, progress)
