"""How does this machine reach a Service of a cluster whose addresses it can't? By `kubectl port-forward`."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from meshlab.cluster.programs import program
from meshlab.errors import ClusterError

_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")
_SECONDS = 20


class Tunnels:
    """Forwarded ports, each opened once and again when it broke; they end with `close`, or with this program."""

    def __init__(self, kubeconfig: Callable[[], Path]) -> None:
        self._kubeconfig = kubeconfig
        self._open: dict[tuple[str, str, int], tuple[Process, int]] = {}

    async def open(self, namespace: str, target: str, port: int) -> tuple[str, int]:
        """A local address for ``service/name`` or ``pod/name``. Raises ClusterError ML160."""
        key = (namespace, target, port)
        process, local = self._open.get(key, (None, 0))
        if process is None or process.returncode is not None:
            process, local = await self._forward(*key)
            self._open[key] = process, local
        return "127.0.0.1", local

    async def close(self) -> None:
        """End them all."""
        while self._open:
            _, (process, _) = self._open.popitem()
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def _forward(self, namespace: str, target: str, port: int) -> tuple[Process, int]:
        process = await asyncio.create_subprocess_exec(
            *(program("kubectl"), "--kubeconfig", str(self._kubeconfig()), "--namespace", namespace),
            *("port-forward", "--address", "127.0.0.1", target, f":{port}"),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018  # asked for above
        line = b""
        with suppress(TimeoutError):
            line = await asyncio.wait_for(process.stdout.readline(), _SECONDS)
        if found := _READY.match(line.decode()):
            return process, int(found[1])
        with suppress(ProcessLookupError):
            process.terminate()
        words = (await process.stderr.read()).decode(errors="replace").strip()
        await process.wait()
        raise ClusterError("ML160", words or f"no answer in {_SECONDS} s", about=f"{target} in {namespace}")
