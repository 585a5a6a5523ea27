"""`meshlab check`: can a lab run on this machine?"""

from __future__ import annotations

import argparse

from meshlab.cli.options import Verbs, add_cluster, add_verb
from meshlab.lab import preflight, preflight_kind


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(
        verbs, "check", run, "check whether a lab can run on this machine, with the cure of what is missing"
    )
    add_cluster(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every check as it is made; exit status 1 when a needed one fails."""
    fit = True
    checks = preflight_kind.checks if arguments.cluster == "kind" else preflight.checks
    for check in checks(arguments.name):
        print(check, flush=True)
        fit = fit and (check.passed or not check.needed)
    return 0 if fit else 1
