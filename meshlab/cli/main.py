"""What can one type in a terminal? `meshlab VERB`, one module per verb.

A verb's module has `add(verbs)`, which describes it to argparse, and a function that does it and returns the
exit status. Errors come out as code, what and hint, never as a traceback.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from meshlab.cli import (
    audit,
    check,
    down,
    errors,
    explain,
    image,
    kubeconfig,
    lint,
    rotate_root,
    status,
    up,
    verify,
    what_if,
    xds,
)
from meshlab.errors import MeshlabError
from meshlab.version import __version__

_VERBS = (up, status, kubeconfig, down, check, explain, verify, what_if, audit, lint, rotate_root, xds, image, errors)
_EPILOG = """\
first steps:
  meshlab up                                    start a mesh with the bookstore in it
  export KUBECONFIG=$(meshlab kubeconfig)       let kubectl talk to it
  kubectl get pods -A
  meshlab down                                  stop everything
"""


class Parser(argparse.ArgumentParser):
    """An argument parser that answers a typing error with what was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Say what was wrong, what is near it, and where the help is."""
        words = sys.argv[1:]
        near = [
            match for word in words for match in difflib.get_close_matches(word, self._words(), n=1) if match != word
        ]
        meant = f"did you mean {near[0]}? " if near else ""
        sys.stderr.write(f"ML101 {message}\nHint: {meant}{self.prog} --help lists what there is\n")
        sys.exit(2)

    def _words(self) -> Iterable[str]:
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # argparse has no public name for it
                yield from action.choices
                for verb in action.choices.values():
                    yield from verb._option_string_actions  # noqa: SLF001


def parser() -> Parser:
    """All verbs and their options."""
    top = Parser(
        prog="meshlab",
        description="Learn a service mesh by running one.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"meshlab {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in _VERBS:
        verb.add(verbs)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 an error with a code, 2 not understood, 130 interrupted."""
    given = parser().parse_args(arguments)
    try:
        result: int = given.run(given)
    except MeshlabError as error:
        _complain(str(error), *_notes(error), f"More: meshlab errors {error.code}")
        return 1
    except KeyboardInterrupt as error:
        _complain("", "Interrupted.", *_notes(error))
        return 130
    except BrokenPipeError:
        # Somebody reads no further (`meshlab errors | head`); Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return result


def _complain(*lines: str) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])
