"""API servers alone, without controllers and nodes, that the tests share: ours, and a real one to hold it against."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.cluster.embedded.apiserver.server import ApiServer

ORACLE = os.environ.get("MESHLAB_ORACLE_KUBECONFIG", "")

_START = Path(__file__).parent / "kind" / "offline" / "apiserver"
_NOT_BUILT = 3


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of our server, which runs in a thread of its own until the tests end."""
    folder = tmp_path_factory.mktemp("apiserver")
    kubeconfig = folder / "kubeconfig"
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        pki = Pki.open(folder / "pki")
        server = ApiServer(folder, pki)
        await server.start()
        kubeconfig.write_text(yaml.safe_dump(pki.kubeconfig(server.url)))
        ready.set()
        await asyncio.to_thread(stop.wait)
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield kubeconfig
    stop.set()
    thread.join(30)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]) -> Iterator[Path]:
    """The kubeconfig of a real kube-apiserver: the one that MESHLAB_ORACLE_KUBECONFIG names, or one started here.

    It is started from what `tests/kind/offline/kind-offline binaries` has built; KIND_OFFLINE_STATE says where that is.
    """
    if ORACLE:
        yield Path(ORACLE)
        return
    folder = tmp_path_factory.mktemp("oracle")
    started = subprocess.run(
        [_START, "start", folder, str(_three_free_ports())], capture_output=True, text=True, timeout=60, check=False
    )
    try:
        if started.returncode == _NOT_BUILT or not shutil.which("openssl"):
            unavailable("a real kube-apiserver (see tests/kind/offline/README.md)")
        assert started.returncode == 0, started.stdout + started.stderr
        with _stopped_with_this_process(folder):
            yield folder / "kubeconfig"
    finally:
        subprocess.run([_START, "stop", folder], capture_output=True, timeout=60, check=True)


@contextmanager
def _stopped_with_this_process(folder: Path) -> Iterator[None]:
    """Have the server stopped, too, when the tests are killed and can't do it themselves."""
    watch = f'tail --pid={os.getpid()} -f /dev/null; "$0" stop "$1"'
    watcher = subprocess.Popen(["bash", "-c", watch, _START, folder], start_new_session=True)
    yield
    os.killpg(watcher.pid, signal.SIGTERM)
    watcher.wait()


def _three_free_ports() -> int:
    """The first of three ports in a row that nobody listens on, below those that the kernel hands out."""
    while True:
        first = random.randrange(20000, 30000)
        try:
            for port in range(first, first + 3):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
