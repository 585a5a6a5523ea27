"""`meshlab up`: start a lab, or finish and repair one."""

from __future__ import annotations

import argparse
import asyncio
import time

from rich.console import Console

from meshlab.cli.options import Verbs, add_cluster, add_verb
from meshlab.cli.progress import StepsOnTerminal
from meshlab.cluster.labs import NETWORKS
from meshlab.errors import MeshlabError
from meshlab.kube import dump
from meshlab.lab import install
from meshlab.manifests import IMAGE


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(verbs, "up", run, "start a mesh; safe to repeat")
    add_cluster(parser)
    help_text = (
        "pod network of the embedded cluster: of namespaces, where the kernel sees to it that no app goes round its "
        "proxy, or loopback, where that is up to the app; default: the one it has, or namespaces where they can be had"
    )
    parser.add_argument("--network", choices=NETWORKS, default="", help=help_text)
    parser.add_argument("--context", default="", help="an existing cluster instead: a context of your kubeconfig")
    parser.add_argument("--image", default="", help="where that cluster pulls meshlab's image from")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be applied, as YAML")
    parser.add_argument("--no-demo", action="store_true", help="without the bookstore")
    parser.add_argument("--gateway", action="store_true", help="with a gateway that serves Ingresses of class meshlab")


def run(arguments: argparse.Namespace) -> int:
    """Take every step, showing each, then say what to do next."""
    if arguments.dry_run:
        demo, gateway = not arguments.no_demo, arguments.gateway
        print(dump(install.everything(arguments.image or IMAGE, demo=demo, gateway=gateway)), end="")
        return 0
    began = time.monotonic()
    console = Console(highlight=False)
    try:
        with StepsOnTerminal(console) as progress:
            started = asyncio.run(
                install.start(
                    arguments.name,
                    not arguments.no_demo,
                    progress,
                    kind=arguments.cluster,
                    context=arguments.context,
                    image=arguments.image,
                    network=arguments.network,
                    gateway=arguments.gateway,
                )
            )
    except (KeyboardInterrupt, MeshlabError) as error:
        error.add_note(asyncio.run(install.left(arguments.name)))
        raise
    console.print(f"\nLab [b]{started.name}[/b] is up after {time.monotonic() - began:.1f} s. Next:")
    option = "" if started.name == "default" else f" --name {started.name}"
    console.print(f"  export KUBECONFIG=$(meshlab kubeconfig{option})", soft_wrap=True)
    console.print("  kubectl get pods -A", soft_wrap=True)
    return 0
