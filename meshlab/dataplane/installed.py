"""Which data planes are installed? Packages say so by entry points of the group ``meshlab.dataplane``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from meshlab.dataplane.base import DataPlane
from meshlab.errors import DataPlaneError


def data_plane(name: str) -> DataPlane:
    """A new one of the data plane of this name. Raises DataPlaneError ML356 when there is none."""
    found = {entry.name: entry for entry in entry_points(group="meshlab.dataplane")}
    if name not in found:
        hint = f"installed: {', '.join(sorted(found)) or 'none'}"
        raise DataPlaneError("ML356", "no data plane of this name is installed", about=name, hint=hint)
    return cast("DataPlane", found[name].load()())
