"""Where does a lab keep what must outlive its processes, and which daemon does it belong to?

One folder per lab, readable by its owner only. A file that others read while it changes is written whole
or not at all. What tells a live daemon from the record of a dead one is the process id together with the
time that process started: a process id alone is given to somebody else sooner or later.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
import psutil

from meshlab.errors import ClusterError

HOME = "MESHLAB_HOME"
"""The environment variable that moves all of meshlab's state."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOCK_STEP_SECONDS = 10
_LOCK_POLL_SECONDS = 0.05


def home() -> Path:
    """The folder of all labs' state: MESHLAB_HOME, or the user's data directory."""
    return Path(os.environ.get(HOME) or platformdirs.user_data_path("meshlab", appauthor=False)).absolute()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refusal of the file system into an error that says which: full (ML112) or not writable (ML111)."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            hint = f"free some space on the disk of {path}, or choose another with MESHLAB_HOME=…"
            raise ClusterError("ML112", reason, about=str(path), hint=hint) from error
        hint = f"make it yours to write (ls -ld {path}), or choose another place with MESHLAB_HOME=…"
        raise ClusterError("ML111", reason, about=str(path), hint=hint) from error


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that a reader sees the old text or the new one, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Record:
    """What a daemon says of itself in daemon.json.

    The file stays when the daemon ends: the next one takes the same octet and port.
    """

    pid: int
    started: float
    port: int
    octet: int
    image: str
    network: str = "loopback"

    def process(self) -> psutil.Process | None:
        """The daemon's process, or None when it is gone, even if another process has its id now."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            same = abs(process.create_time() - self.started) < _CLOCK_STEP_SECONDS
        except psutil.NoSuchProcess:
            return None
        return process if same else None


class State:
    """The folder of one lab. Raises ClusterError ML110 for a name that can't be a folder and a host name."""

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            hint = "use lower-case letters, digits and dashes, at most 32, for example: meshlab up --name my-lab"
            raise ClusterError("ML110", "this can't be the name of a lab", about=f"lab {name!r}", hint=hint)
        self.name = name
        self.folder = home() / "labs" / name
        self.pki = self.folder / "pki"
        self.pods = self.folder / "pods"
        self.kubeconfig = self.folder / "kubeconfig"
        self.log = self.folder / "daemon.log"
        self._record = self.folder / "daemon.json"

    def create(self) -> None:
        """Make the folder, and prove that it can be written. Raises ClusterError ML111 or ML112."""
        with writing(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        write_private(self.folder / "writable", "yes\n")

    def last(self) -> Record | None:
        """The record of the newest daemon, dead or alive; None when there was none."""
        try:
            return Record(**json.loads(self._record.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def daemon(self) -> tuple[Record, psutil.Process] | None:
        """The daemon that runs now, or None."""
        record = self.last()
        process = record.process() if record else None
        return (record, process) if record and process else None

    def remember(self, record: Record) -> None:
        """Write daemon.json: from now on others find this daemon."""
        write_private(self._record, json.dumps(asdict(record)) + "\n")

    def fresh_log(self) -> int:
        """A descriptor of an empty daemon.log; the log before it is kept as daemon.log.1."""
        with writing(self.log):
            with suppress(FileNotFoundError):
                self.log.replace(self.log.with_suffix(".log.1"))
            return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def last_words(self) -> str:
        """The last line of daemon.log."""
        try:
            return self.log.read_text(errors="replace").rstrip().rpartition("\n")[2]
        except OSError:
            return ""

    def remove(self) -> None:
        """Remove the folder and all that was stored. The lab must not run."""
        with writing(self.folder), suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def hold(self) -> int:
        """The lock of the lab's only daemon; the kernel gives it back however the daemon ends.

        Raises ClusterError ML115 when another daemon has it.
        """
        descriptor = self._try_lock()
        if descriptor is None:
            raise self.held()
        return descriptor

    def is_held(self) -> bool:
        """Whether some daemon has the lab's lock. Ask while `changing`: nobody else starts one then."""
        descriptor = self._try_lock()
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None

    def held(self) -> ClusterError:
        """The error that says another daemon has the lock."""
        hint = f"end it: pkill -f 'embedded.daemon --name {self.name}'"
        return ClusterError("ML115", "another daemon holds it", about=f"lab {self.name}", hint=hint)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Hold this while starting or stopping, so that two shells do one after the other."""
        descriptor = self._open_lock("change.lock")
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def _try_lock(self) -> int | None:
        descriptor = self._open_lock("daemon.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _open_lock(self, name: str) -> int:
        """Opened for reading: a lab can be stopped also when its disk has become read-only."""
        path = self.folder / name
        with writing(path):
            return os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)


def known() -> list[str]:
    """The names of all labs that have state here."""
    with suppress(OSError):
        return sorted(entry.name for entry in (home() / "labs").iterdir() if _NAME.fullmatch(entry.name))
    return []
