"""How are docker, kind and kubectl called? As children that never outlive the call, with errors that teach."""

from __future__ import annotations

import asyncio
import shutil
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import ExitStack, suppress
from pathlib import Path

from meshlab.errors import ClusterError

_LAST_LINES = 5
_END_SECONDS = 5


def program(name: str) -> str:
    """Where a program is: on the PATH, or beside Python (pip brings a kubectl there)."""
    return shutil.which(name) or shutil.which(name, path=sysconfig.get_path("scripts")) or name


async def run(
    *command: str, code: str, what: str = "", about: str = "", hint: str = "", stdin: Path | None = None
) -> str:
    """What a program prints. Raises ClusterError with `code` and its last words when it fails or is not there.

    It runs in a process group of its own, so that Ctrl-C reaches us alone; when we are cancelled it is ended first.
    """
    with ExitStack() as stack:
        source = stack.enter_context(stdin.open("rb")) if stdin else DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                program(command[0]), *command[1:], stdin=source, stdout=PIPE, stderr=PIPE, process_group=0
            )
        except OSError as error:
            raise ClusterError(code, f"{command[0]}: {error.strerror}", about=about, hint=hint) from error
    try:
        output, errors = await process.communicate()
    except BaseException:
        await _end(process)
        raise
    if process.returncode:
        lines = (errors.strip() or output.strip()).decode(errors="replace").splitlines()
        words = "; ".join(line.strip() for line in lines[-_LAST_LINES:]) or f"exit status {process.returncode}"
        raise ClusterError(code, f"{what}: {words}" if what else words, about=about, hint=hint)
    return output.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
