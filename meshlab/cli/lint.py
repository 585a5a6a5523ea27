"""`meshlab lint FILE…`: what is wrong with policies that are yet to be applied? Asks no cluster."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from meshlab.cli.options import Verbs, add_verb
from meshlab.errors import PolicyError
from meshlab.policy import languages
from meshlab.policy.lint import Written, errors, lint, written

_STDIN = "-"
_SUFFIXES = (".yaml", ".yml")


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(verbs, "lint", run, "find what is wrong with policies in files, without a cluster", named=False)
    parser.add_argument("files", nargs="+", metavar="FILE", help="YAML, a folder of it, or - for standard input")
    parser.add_argument(
        "-n", "--namespace", default="default", help="of objects that name none, as with kubectl apply (%(default)s)"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Print every finding with file and line; exit status 1 when one of them is an error."""
    items = [item for name in arguments.files for item in _read(name, arguments.namespace)]
    remarks = lint(items, languages())
    wrong = errors(remarks)
    if arguments.output == "json":
        print(json.dumps([{"file": one.source, "line": one.line, **asdict(one.finding)} for one in remarks], indent=2))
    else:
        for remark in remarks:
            print(remark)
        print(f"{len(items)} objects: {wrong} errors, {len(remarks) - wrong} warnings")
    return 1 if wrong else 0


def _read(name: str, namespace: str) -> Iterator[Written]:
    if name == _STDIN:
        yield from written(sys.stdin.read(), "standard input", namespace)
        return
    path = Path(name)
    files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    for file in files:
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError("ML205", f"{error}", about=name, hint="give YAML files, folders, or -") from None
        yield from written(text, str(file), namespace)
