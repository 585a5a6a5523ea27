"""How is a proxy that never stops asking kept from taking the others' time? It is listened to at a bounded pace."""

from __future__ import annotations

import asyncio
import time

_EACH_SECOND = 200.0
_AT_ONCE = 2000.0
"""A proxy that connects asks for each of its types, and for a thousand names in a few requests."""


class Pace:
    """So many requests a second, more at once after a pause. While one waits, the connection's window fills up,
    and the proxy waits too: nothing piles up here.
    """

    def __init__(self) -> None:
        self._left = _AT_ONCE
        self._last = time.monotonic()
        self.exceeded = False
        """Whether the proxy has been made to wait, since it last kept the pace by itself."""

    async def keep(self) -> None:
        """Return when the next request may be read."""
        now = time.monotonic()
        self._left = min(_AT_ONCE, self._left + (now - self._last) * _EACH_SECOND) - 1
        self._last = now
        if self._left < 0:
            self.exceeded = True
            await asyncio.sleep(-self._left / _EACH_SECOND)
        elif self.exceeded and self._left > _AT_ONCE / 2:
            self.exceeded = False
