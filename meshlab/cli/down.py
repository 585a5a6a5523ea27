"""`meshlab down`: stop a lab."""

from __future__ import annotations

import argparse
import asyncio

from rich.console import Console

from meshlab.cli.options import Verbs, add_verb
from meshlab.cli.progress import StepsOnTerminal
from meshlab.lab import install


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(verbs, "down", run, "stop a lab and every process of it; the next up brings it back as it was")
    parser.add_argument("--purge", action="store_true", help="also forget everything that was applied to it")


def run(arguments: argparse.Namespace) -> int:
    """Stop it; stopping what is stopped is no error."""
    console = Console(highlight=False)
    with StepsOnTerminal(console) as progress:
        gone = asyncio.run(install.stop(arguments.name, purge=arguments.purge, progress=progress))
    print(f"Lab {arguments.name} is {'removed' if gone else 'stopped'}.")
    return 0
