"""What do the verbs have in common?"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TypeAlias

from meshlab.cluster.labs import KINDS

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # argparse has no public name for it
Run = Callable[[argparse.Namespace], int]


def add_verb(verbs: Verbs, name: str, run: Run, help_text: str, *, named: bool = True) -> argparse.ArgumentParser:
    """A verb that calls `run`; `named` gives it --name, the lab it is about."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help_text, description=f"{help_text}.")
    parser.set_defaults(run=run)
    if named:
        name = os.environ.get("MESHLAB_NAME", "default")
        parser.add_argument("--name", default=name, help="the lab's name (default: $MESHLAB_NAME, else default)")
    return parser


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """--cluster, the kind of cluster a lab is to run on."""
    help_text = (
        "where it runs: in a process of its own (embedded), or in containers (kind); default: where it is, or embedded"
    )
    parser.add_argument("--cluster", choices=KINDS, help=help_text)
