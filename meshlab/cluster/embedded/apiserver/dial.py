"""How does the API server reach a pod, whose network may be another than its own?"""

from __future__ import annotations

import socket
from collections.abc import Callable

import aiohttp

OpenSocket = Callable[[str], socket.socket]
"""A TCP socket, not yet connected, that reaches an address. Raises OSError."""


def ordinary(address: str) -> socket.socket:
    """A socket of the machine's own network, where pods are if nobody says otherwise."""
    del address
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def connector(open_socket: OpenSocket) -> aiohttp.TCPConnector:
    """Connections, as many as are needed, over such sockets."""
    return aiohttp.TCPConnector(limit=0, family=socket.AF_INET, socket_factory=lambda where: open_socket(where[4][0]))
