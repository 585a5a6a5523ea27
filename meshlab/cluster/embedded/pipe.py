"""How do bytes go from one task to another, when the one is faster? It waits: only a few chunks are under way."""

from __future__ import annotations

import asyncio
from collections import deque

_MOST_CHUNKS = 8


class Pipe:
    """Bytes from one task to another."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._is_over = False

    async def put(self, data: bytes) -> None:
        """Hand over, waiting while there is no room. After the end it is dropped."""
        while len(self._chunks) >= _MOST_CHUNKS and not self._is_over:
            self._room.clear()
            await self._room.wait()
        if data and not self._is_over:
            self._chunks.append(data)
            self._news.set()

    async def get(self) -> bytes:
        """The next chunk; nothing once all has been got after the end."""
        while not self._chunks and not self._is_over:
            self._news.clear()
            await self._news.wait()
        self._room.set()
        return self._chunks.popleft() if self._chunks else b""

    def finish(self) -> None:
        """No more comes. What is under way can still be got."""
        self._is_over = True
        self._news.set()
        self._room.set()

    def close(self) -> None:
        """End it at once: what is under way is lost, and whoever waits is let go."""
        self._chunks.clear()
        self.finish()
