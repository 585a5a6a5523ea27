"""`meshlab image`: the image for an existing cluster, ready to be pushed."""

from __future__ import annotations

import argparse
import asyncio

from meshlab.cli.options import Verbs, add_verb
from meshlab.cluster.image import build, image_name, tag


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(
        verbs, "image", run, "build the image of control plane, sidecars and demo for an existing cluster", named=False
    )
    parser.add_argument("reference", help="its name in a registry, for example registry.example/meshlab:0.1.0")


def run(arguments: argparse.Namespace) -> int:
    """Build it, give it the name, and say what to do next."""
    asyncio.run(_make(arguments.reference))
    print(f"Built {arguments.reference}. Next:\n  docker push {arguments.reference}")
    print(f"  meshlab up --context NAME --image {arguments.reference}")
    return 0


async def _make(reference: str) -> None:
    content = image_name()
    await build(content)
    await tag(content, reference)
