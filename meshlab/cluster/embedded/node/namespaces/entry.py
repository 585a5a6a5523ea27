"""With which command does a process begin that is to run in a pod? The launcher's, told what it has to know."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_LAUNCH = Path(__file__).with_name("launch.py")
CAPABILITIES = {"NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13}
"""Those whose power ends at the pod's own network. No others are given."""


def prefix(
    namespaces: Sequence[str],
    files: Mapping[Path, Path],
    *,
    hidden: Path,
    shown: Iterable[Path] = (),
    capabilities: Iterable[str] = (),
) -> list[str]:
    """What a command is prefixed with. `files` are put in the place of the machine's own.

    Of the folder `hidden` nothing is seen but the folders `shown`.
    """
    plan = {
        "namespaces": namespaces,
        "hidden": str(hidden),
        "shown": list(dict.fromkeys(map(str, shown))),
        "mounts": [(str(source), str(target)) for source, target in files.items()],
        "capabilities": [CAPABILITIES[name] for name in capabilities if name in CAPABILITIES],
    }
    return [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps(plan)]
