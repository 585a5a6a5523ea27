"""What does one see who attaches to a running container (kubectl attach)? Its streams, from now on."""

from __future__ import annotations

from meshlab.cluster.embedded.node.instance import Instance
from meshlab.cluster.embedded.pod_streams import Wanted


class Attached:
    """A client at a container's console. Its going changes nothing for the container."""

    def __init__(self, instance: Instance, wanted: Wanted) -> None:
        self._instance = instance
        self._wrote = wanted.stdin
        self._view = instance.console.join(wanted.outputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what can be read."""
        return tuple(self._view)

    async def read(self, output: str) -> bytes:
        """Some of what it writes; nothing at its end."""
        return await self._view[output].get()

    async def write(self, data: bytes) -> None:
        """To its standard input."""
        await self._instance.console.write(data)

    def end_input(self) -> None:
        """Nothing more will be written."""
        if self._wrote:
            self._instance.console.end_input()

    def resize(self, columns: int, rows: int) -> None:
        """Its terminal has another size."""
        self._instance.console.resize(columns, rows)

    async def wait(self) -> int:
        """Return when it has ended. Who attaches isn't told its exit code: the pod's status has it."""
        await self._instance.ended.wait()
        return 0

    async def end(self) -> None:
        """Look on no more."""
        self.end_input()
        self._instance.console.leave(self._view)
