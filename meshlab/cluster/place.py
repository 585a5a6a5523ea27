"""On which cluster does a lab run, when it isn't the embedded one? One small file in the lab's folder says so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace

from meshlab.cluster.embedded.state import State, write_private
from meshlab.errors import ClusterError

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the file says."""

    kind: str
    """``kind`` or ``context``."""
    whole: bool = False
    """It was made to the end."""
    made_network: bool = False
    """Docker's network was made for it."""
    context: str = ""
    """The kubeconfig context of an existing cluster."""
    image: str = ""
    """The image's reference in a registry which that cluster pulls from."""


class Place:
    """The file of one lab. Raises ClusterError ML110 for a name that can't be a lab's."""

    def __init__(self, name: str) -> None:
        self._state = State(name)
        self.kubeconfig = self._state.kubeconfig
        self._file = self._state.folder / "cluster.json"

    def read(self) -> Facts | None:
        """None: there is no such cluster."""
        try:
            return Facts(**json.loads(self._file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def claim(self, kind: str) -> None:
        """Make sure that the lab doesn't run on another kind of cluster. Raises ClusterError ML159."""
        facts = self.read()
        elsewhere = facts.kind if facts else EMBEDDED if self._state.last() else kind
        if elsewhere != kind:
            name = self._state.name
            hint = f"meshlab down --purge --name {name}; or another name: meshlab up --cluster {kind} --name other"
            raise ClusterError("ML159", f"it is on the cluster {elsewhere!r}", about=f"lab {name}", hint=hint)
        self._state.create()

    @asynccontextmanager
    async def changing(self, kind: str) -> AsyncIterator[None]:
        """Hold this while making or removing it, so that two shells do one after the other."""
        self.claim(kind)
        async with self._state.changing():
            self.claim(kind)  # who held it before may have removed the folder
            yield

    def remember(self, kind: str, **changes: bool | str) -> None:
        """Write it down, what was known before included."""
        facts = replace(self.read() or Facts(kind), **changes)  # type: ignore[arg-type]
        write_private(self._file, json.dumps(asdict(facts)) + "\n")

    def forget(self) -> None:
        """The cluster is gone."""
        self._state.remove()
