"""`meshlab explain FROM TO REQUEST`: may this call pass, by which policy, and what would allow it?"""

from __future__ import annotations

import argparse
import asyncio

from meshlab.cli.asking import lab_of, objects_of
from meshlab.cli.options import Verbs, add_verb
from meshlab.lab import reading, still
from meshlab.lab.explain import Explanation, explain, write


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(
        verbs,
        "explain",
        run,
        "say whether a call may pass, by which policy, and what would allow it; exit 1 if refused",
    )
    parser.add_argument("source", metavar="FROM", help="who calls: a pod, a workload or a service account")
    parser.add_argument("destination", metavar="TO", help="the Service called, such as bookstore or bookstore:14001")
    parser.add_argument(
        "request", nargs="?", default="GET /", metavar="REQUEST", help='such as "GET /books" (default: "GET /")'
    )
    parser.add_argument(
        "-H", "--header", action="append", default=[], help='a header it carries: "client-app: bookbuyer"'
    )
    parser.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="PATH",
        help="ask YAML files or folders, not a lab; repeatable",
    )
    parser.add_argument("--apply", action="store_true", help="make the change that would allow it")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    if arguments.file:
        return _show(_ask(still.of_objects(objects_of(arguments.file)), arguments))
    async with lab_of(arguments) as kube:
        found = _ask(await reading.of_cluster(kube), arguments)
        status = _show(found)
        if not arguments.apply or found.proposal is None:
            return status
        print(await write(kube, found.proposal.objects))
        return 0


def _ask(known: reading.Known, arguments: argparse.Namespace) -> Explanation:
    headers = {name.strip(): value.strip() for name, _, value in (item.partition(":") for item in arguments.header)}
    return explain(known, arguments.source, arguments.destination, arguments.request, headers)


def _show(found: Explanation) -> int:
    print(found)
    return 0 if found.allowed else 1
