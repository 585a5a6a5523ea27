"""What runs while a lab is up? One process: API server, controllers and node in one event loop.

`EmbeddedCluster.up` starts it as `python -m meshlab.cluster.embedded.daemon --name NAME` and reads two lines
from its standard output: its process id; then that it is ready, or why it can't be. From then on it belongs
to nobody: it has a session of its own, and outlives the shell or kernel that started it, until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import psutil

from meshlab.cluster.embedded import addresses
from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.cluster.embedded.apiserver.server import ApiServer
from meshlab.cluster.embedded.cluster import HOST, other_network, write_kubeconfig
from meshlab.cluster.embedded.controllers import run_controllers
from meshlab.cluster.embedded.node import Node, networks
from meshlab.cluster.embedded.node.namespaces.probe import probe
from meshlab.cluster.embedded.node.networks import Ground
from meshlab.cluster.embedded.state import Record, State, known, writing
from meshlab.errors import ClusterError, MeshlabError
from meshlab.kube import Kube

log = logging.getLogger("meshlab.daemon")

_RESTART_SECONDS = 1.0


async def serve(state: State, image: str, network: str, ready: Callable[[], None]) -> None:
    """One lab's cluster, until cancelled; `ready` is called once, when it can be used.

    `network` is the pod network it is to have; empty for the one it had, or else the best to be had.
    """
    last = state.last()
    network = await asyncio.to_thread(_choose, state.name, network, last.network if last else "")
    siblings = [State(name).last() for name in known() if name != state.name]
    avoid = {sibling.octet for sibling in siblings if sibling}
    async with AsyncExitStack() as stack:
        block = stack.enter_context(addresses.claim(state.name, kept=last.octet if last else None, avoid=avoid))
        ground = Ground(network, block.octet)
        with writing(state.folder):
            pki = Pki.open(state.pki, (f"{ground.block}.128.1", f"{ground.block}.0.1"))
        server = ApiServer(state.folder, pki, ground.block, ground.inside)
        port = await server.start(HOST, _port_again(last.port) if last else 0)
        stack.push_async_callback(server.stop)
        write_kubeconfig(state, pki, port)
        kube = await stack.enter_async_context(await Kube.connect(state.kubeconfig))
        await kube.text("/readyz")
        node = Node(kube, state.folder, image=image, ground=replace(ground, serve_api=server.serve_at))
        server.open_socket = node.open_socket
        server.read_log = node.logs
        server.pods = node.streams
        server.offer_metrics(node.meter)
        controllers = asyncio.create_task(_keep_running("controllers", lambda: run_controllers(kube)))
        stack.push_async_callback(_cancel, controllers)
        stack.push_async_callback(_cancel, asyncio.create_task(_keep_running("node", node.run)))
        await node.ready()
        state.remember(Record(os.getpid(), psutil.Process().create_time(), port, block.octet, image, network))
        where = f"{ground.block}.* ({network})"
        log.info("ready: https://%s:%d, addresses %s, pid %d", HOST, port, where, os.getpid())
        ready()
        await asyncio.Event().wait()


def _choose(lab: str, wanted: str, before: str) -> str:
    """The pod network of a lab. Raises ClusterError ML129 if it has another than the wanted one, ML128 if it can't."""
    if wanted and before and wanted != before:
        raise other_network(lab, before)
    chosen = wanted or before
    if not chosen:
        return networks.best()
    if chosen == networks.NAMESPACES:
        try:
            probe()
        except OSError as error:
            what = f"this machine grants no namespaces: {error.strerror or error}"
            hint = "have another pod network: meshlab up --network loopback (--purge a lab that has this one)"
            raise ClusterError("ML128", what, about=f"lab {lab}", hint=hint) from error
    return chosen


def _port_again(port: int) -> int:
    """The port it had before, so that open kubeconfigs go on working; 0, any free one, when that is taken now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            log.warning("port %d can't be used again (%s): taking a free one", port, error)
            return 0
    return port


async def _keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """A defect in one part must not take the others with it: say what happened and begin that part anew."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("%s failed", name)
        log.warning("starting the %s again", name)
        await asyncio.sleep(_RESTART_SECONDS)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _until_told(state: State, image: str, network: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    serving = asyncio.ensure_future(serve(state, image, network, lambda: _report({})))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving
    log.info("ended")


def _report(answer: dict[str, str]) -> None:
    """The line that `up` waits for."""
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(answer).encode() + b"\n")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _detach() -> None:
    """Become a child of init with a session of its own: no terminal's hang-up reaches us."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.umask(0o077)
    os.write(1, f"{os.getpid()}\n".encode())


def main() -> int:
    """The entry point of the daemon's process."""
    parser = argparse.ArgumentParser(prog="meshlab.cluster.embedded.daemon", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--network", default="")
    arguments = parser.parse_args()
    _detach()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.raiseExceptions = False  # a full disk must not turn a log line into a failure
    state = State(arguments.name)
    try:
        state.hold()
        asyncio.run(_until_told(state, arguments.image, arguments.network))
    except MeshlabError as error:
        log.error("%s", error)  # noqa: TRY400  # the message is the whole story
        _report({"code": error.code, "what": error.what, "about": error.about, "hint": error.hint})
        return 1
    except Exception as error:
        log.exception("the daemon can't go on")
        failure = ClusterError("ML114", f"{type(error).__name__}: {error}", about=f"lab {state.name}")
        hint = f"look at the end of {state.log}"
        _report({"code": failure.code, "what": failure.what, "about": failure.about, "hint": hint})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
