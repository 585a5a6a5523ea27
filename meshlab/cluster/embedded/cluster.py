"""How is the daemon of a lab started, found and ended?"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.cluster.embedded.node.cleanup import end_leftovers
from meshlab.cluster.embedded.node.networks import LOOPBACK
from meshlab.cluster.embedded.state import Record, State, write_private, writing
from meshlab.cluster.tunnel import Tunnels
from meshlab.errors import ClusterError
from meshlab.kube import Kube
from meshlab.kube.objects import SERVICE
from meshlab.version import __version__

HOST = "127.0.0.1"
NETWORK = "MESHLAB_NETWORK"
"""The environment variable that names the pod network of new labs."""
_START_SECONDS = 60
_STOP_SECONDS = 30
_POLL_SECONDS = 0.05


class EmbeddedCluster:
    """A Kubernetes API and a node on this machine alone, in a daemon that outlives whoever started it."""

    kind = "embedded"
    image = f"meshlab:{__version__}"

    def __init__(self, name: str, network: str = "") -> None:
        """`network` is the pod network it is to have, ``namespaces`` or ``loopback``; by default the one it has, or
        for a new lab what MESHLAB_NETWORK says, or else the better one that this machine grants.
        """
        self.name = name
        self.state = State(name)
        self._wanted = network
        self._tunnels = Tunnels(self.kubeconfig)

    @property
    def network(self) -> str:
        """The pod network; empty until the first `up` has chosen one."""
        last = self.state.last()
        return last.network if last else self._wanted or os.environ.get(NETWORK, "")

    async def up(self) -> None:
        """Start the daemon unless it runs; returns when its API answers.

        Safe to repeat, also from two shells at once. Raises ClusterError ML111 or ML112 for a disk that
        can't be written, ML114 for a daemon that ends or doesn't answer, and what the daemon itself says.
        """
        self.state.create()
        async with self.state.changing():
            running = await self._running()
            if running and running[0].image != self.image:
                # Of another version: it would not know the image that this one writes into pods.
                await asyncio.to_thread(_end, running[0].pid)
                running = None
            if running and self._wanted not in ("", running[0].network):
                raise other_network(self.name, running[0].network)
            if running is None:
                await self._start()
            elif not self.state.kubeconfig.exists():
                write_kubeconfig(self.state, Pki.open(self.state.pki), running[0].port)
        async with await Kube.connect(self.kubeconfig()) as kube:
            await kube.text("/readyz")

    def kubeconfig(self) -> Path:
        """The kubeconfig with admin rights.

        Raises ClusterError ML113 while the lab is down, ML119 when the file is gone.
        """
        again = f"meshlab up --name {self.name}"
        if self.state.daemon() is None:
            raise ClusterError("ML113", "it is not running", about=f"lab {self.name}", hint=again)
        if not self.state.kubeconfig.exists():
            raise ClusterError("ML119", "the file is gone", about=str(self.state.kubeconfig), hint=again)
        return self.state.kubeconfig

    async def reach(self, namespace: str, service: str, port: int) -> tuple[str, int]:
        """The Service's ClusterIP where that is a loopback address, the same from outside; else a forwarded port."""
        if self.network != LOOPBACK:
            return await self._tunnels.open(namespace, f"service/{service}", port)
        async with await Kube.connect(self.kubeconfig()) as kube:
            found = await kube.get(SERVICE, service, namespace)
        return found["spec"]["clusterIP"], port

    async def load_image(self) -> None:
        """Nothing to do: the image is this installation of meshlab."""

    async def down(self) -> None:
        """End the daemon and its pods; what was applied is kept for the next `up`."""
        await self._tunnels.close()
        if not self.state.folder.exists():
            return
        async with self.state.changing():
            running = await self._running()
            if running:
                await asyncio.to_thread(_end, running[0].pid)
            # A daemon that was killed before could not end its pods.
            await asyncio.to_thread(end_leftovers, self.state.pods)

    async def purge(self) -> None:
        """`down`, and forget everything that was stored."""
        await self.down()
        self.state.remove()

    async def left(self) -> str:
        """The daemon, if it runs."""
        running = self.state.daemon()
        return f"the lab's daemon, pid {running[1].pid}" if running else ""

    async def _running(self) -> tuple[Record, psutil.Process] | None:
        """The daemon, when need be after waiting for one whose starter was killed before it was ready."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while (running := self.state.daemon()) is None and self.state.is_held():  # noqa: ASYNC110  # another process
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise self.state.held() from None
        return running

    async def _start(self) -> None:
        reading, launcher = self._launch()
        # It forks the daemon and ends, so the daemon is nobody's child and leaves no zombie behind.
        await asyncio.to_thread(launcher.wait)
        async with _lines(reading) as lines:
            pid = await lines.readline()
            answer = await self._answer(lines, int(pid)) if pid else b""
        if not answer:
            raise self._did_not_start("its daemon ended at once")
        refusal = json.loads(answer)
        if refusal:
            raise ClusterError(**refusal)

    async def _answer(self, lines: asyncio.StreamReader, pid: int) -> bytes:
        """What the daemon says when it is ready. Whoever stops waiting for it leaves none half started."""
        try:
            return await asyncio.wait_for(lines.readline(), _START_SECONDS)
        except TimeoutError:
            failure = self._did_not_start(f"its daemon was not ready after {_START_SECONDS} s")
            await asyncio.to_thread(_end, pid)
            raise failure from None
        except asyncio.CancelledError:
            _end(pid)
            raise

    def _did_not_start(self, what: str) -> ClusterError:
        last_words = self.state.last_words() or "it left no word"
        hint = f"look at the end of {self.state.log}"
        return ClusterError("ML114", f"{what}: {last_words}", about=f"lab {self.name}", hint=hint)

    def _launch(self) -> tuple[int, subprocess.Popen[bytes]]:
        """The daemon's launcher, and the end of the pipe on which the daemon will say one line."""
        command = [sys.executable, "-m", "meshlab.cluster.embedded.daemon", "--name", self.name, "--image", self.image]
        command += ["--network", self._wanted or self.network]
        log = self.state.fresh_log()
        reading, writing_end = os.pipe()
        try:
            return reading, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing_end, stderr=log)
        finally:
            os.close(writing_end)
            os.close(log)


def other_network(lab: str, network: str) -> ClusterError:
    """The error that says which pod network a lab has, to somebody who wants another."""
    what = f"its pod network is {network}, and its Services have addresses there"
    hint = f"start anew with the other one: meshlab down --purge --name {lab}"
    return ClusterError("ML129", what, about=f"lab {lab}", hint=hint)


def write_kubeconfig(state: State, pki: Pki, port: int) -> None:
    """Give the lab's owner a credential of its own."""
    with writing(state.kubeconfig):
        text = json.dumps(pki.kubeconfig(f"https://{HOST}:{port}"), indent=1)
    write_private(state.kubeconfig, text + "\n")


@asynccontextmanager
async def _lines(descriptor: int) -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        yield reader
    finally:
        transport.close()


def _end(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        process.send_signal(signal.SIGTERM)
        process.wait(_STOP_SECONDS)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)
