"""meshlab: learn a service mesh by running one.

    import meshlab
    lab = meshlab.up()

Importing it is cheap (every sidecar and demo program does); what `up` needs is loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from meshlab.errors import ClusterError, DataPlaneError, IdentityError, LabError, MeshlabError, PolicyError
from meshlab.version import __version__

if TYPE_CHECKING:
    from meshlab.lab.lab import Lab, up

__all__ = [
    "ClusterError",
    "DataPlaneError",
    "IdentityError",
    "Lab",
    "LabError",
    "MeshlabError",
    "PolicyError",
    "__version__",
    "up",
]


def __getattr__(name: str) -> Any:
    if name in {"Lab", "up"}:
        return getattr(import_module("meshlab.lab.lab"), name)
    if name == "load_ipython_extension":
        return getattr(import_module("meshlab.lab.magics"), name)
    raise AttributeError(f"module 'meshlab' has no attribute {name!r}")
