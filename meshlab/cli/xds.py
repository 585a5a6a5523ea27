"""`meshlab xds POD [RESOURCE]`: what does a proxy run by, and what was it told last?"""

from __future__ import annotations

import argparse
import asyncio

from meshlab.cli.asking import lab_of
from meshlab.cli.options import Verbs, add_verb
from meshlab.errors import LabError
from meshlab.kube import dump
from meshlab.lab.xds import xds


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(
        verbs, "xds", run, "show a proxy's configuration, what overlays change in it, and its last answer"
    )
    parser.add_argument("pod", metavar="POD", help="a pod, or what runs it: bookstore-v1")
    parser.add_argument(
        "resource", nargs="?", metavar="RESOURCE", help="print this one, such as inbound-listener, as YAML"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with lab_of(arguments) as kube:
        found = await xds(kube, arguments.pod)
    if arguments.resource is None:
        print(found)
        return 0
    try:
        print(dump(dict(found[arguments.resource])), end="")
    except KeyError:
        hint = f"`meshlab xds {arguments.pod}` lists the names"
        raise LabError("ML608", "the proxy has no such resource", about=arguments.resource, hint=hint) from None
    return 0
