"""What do the verbs have in common?"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # argparse has no public name for it
Run = Callable[[argparse.Namespace], int]


def add_verb(verbs: Verbs, name: str, run: Run, help_text: str, *, named: bool = True) -> argparse.ArgumentParser:
    """A verb that calls `run`; `named` gives it --name, the lab it is about."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help_text, description=f"{help_text}.")
    parser.set_defaults(run=run)
    if named:
        parser.add_argument("--name", default="default", help="the lab's name (default: default)")
    return parser
