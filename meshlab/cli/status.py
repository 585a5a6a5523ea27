"""`meshlab status`: where a lab runs and how it is doing."""

from __future__ import annotations

import argparse
import asyncio
import json

from rich.console import Console

from meshlab.cli.options import Verbs, add_verb
from meshlab.lab import status


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(verbs, "status", run, "show where a lab runs and how it is doing; exit status 1 if not well")
    parser.add_argument("-o", "--output", choices=["json"], help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Print the status."""
    found = asyncio.run(status.read(arguments.name))
    if arguments.output == "json":
        print(json.dumps(found.to_json(), indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)  # a path stays whole, however narrow the terminal
        for line in _lines(found):
            console.print(line)
    return 0 if found.healthy else 1


def _lines(found: status.Status) -> list[str]:
    rows = {
        "lab": found.name,
        "cluster": found.cluster,
        "network": found.network,
        "image": found.image,
        "mode": found.mode,
        "kubeconfig": found.kubeconfig or "none",
        "pid": str(found.pid or "none"),
    }
    for name, part in found.health.items():
        mark = "[green]✓[/green]" if part.ok else "[red]✗[/red]"
        rows[name] = f"{mark} {part.detail}"
    return [f"{name:<15}{value}" for name, value in rows.items()]
