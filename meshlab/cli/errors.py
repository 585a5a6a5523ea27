"""`meshlab errors CODE`: what an error's code means, why it happens, and the cure."""

from __future__ import annotations

import argparse

from meshlab.cli.options import Verbs, add_verb
from meshlab.errors import Code, LabError, codes


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(verbs, "errors", run, "explain an error's code, or list all codes", named=False)
    parser.add_argument("code", nargs="?", help="for example ML113; without it all codes are listed")


def run(arguments: argparse.Namespace) -> int:
    """Print one code in full, or every code with its title."""
    if arguments.code is None:
        for row in codes().values():
            print(f"{row.code}  {row.title}")
        return 0
    found = codes().get(arguments.code.upper())
    if found is None:
        raise LabError("ML102", "there is no such code", about=arguments.code, hint="meshlab errors lists all")
    print(_in_full(found))
    return 0


def _in_full(row: Code) -> str:
    return f"{row.code}  {row.title}\n\nWhy:  {row.why}\nCure: {row.cure}"
