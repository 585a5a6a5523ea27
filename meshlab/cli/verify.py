"""`meshlab verify FROM TO`: is the chain from one workload to a Service whole, and which link is broken?"""

from __future__ import annotations

import argparse
import asyncio

from meshlab.cli.asking import lab_of
from meshlab.cli.options import Verbs, add_verb
from meshlab.lab.seen import see
from meshlab.lab.verify import verify


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    help_text = (
        "check control plane, sidecars, certificates, configuration and policy between two ends; exit 1 if broken"
    )
    parser = add_verb(verbs, "verify", run, help_text)
    parser.add_argument("source", metavar="FROM", help="who calls: a pod, a workload or a service account")
    parser.add_argument("destination", metavar="TO", help="the Service called, such as bookstore or bookstore:14001")
    parser.add_argument("request", nargs="?", default="", metavar="REQUEST", help='such as "GET /books"; default: any')


def run(arguments: argparse.Namespace) -> int:
    """Print the chain."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with lab_of(arguments) as kube:
        found = verify(await see(kube), arguments.source, arguments.destination, arguments.request)
    print(found)
    for name in found.broken():
        print(f"Broken: {name}")
    return 0 if found.ok else 1
