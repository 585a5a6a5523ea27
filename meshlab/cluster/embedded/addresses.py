"""Which loopback addresses belong to this lab, and to no other on this machine?

A lab owns 127.n.*: pods, ClusterIPs and the node's own services live there. The daemon holds n by keeping a
socket bound in it: the kernel refuses the same address to every other process of every user, and frees it
however the daemon ends. No file could promise that between users.
"""

from __future__ import annotations

import errno
import os
import socket
import zlib
from collections.abc import Collection
from typing import Self

from meshlab.errors import ClusterError

FIRST, LAST = 64, 126
_GUARD_PORT = 15999


class AddressBlock:
    """127.n.*, held until closed."""

    def __init__(self, octet: int, guard: socket.socket) -> None:
        self.octet = octet
        self._guard = guard

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.close()


def claim(lab: str, *, kept: int | None, avoid: Collection[int] = ()) -> AddressBlock:
    """The block a lab had before (`kept`), or for a new lab the first free one that is not in `avoid`.

    A lab can't change its block: its Services have addresses in it. Raises ClusterError ML117 when the
    kept one is taken or none is free, ML122 when this machine has no loopback addresses beyond 127.0.0.1.
    """
    if kept is not None:
        guard = _bind(kept)
        if guard is None:
            raise ClusterError(
                "ML117",
                f"its addresses 127.{kept}.* are in use by another lab on this machine",
                about=f"lab {lab}",
                hint=f"stop the other lab, or start anew on other addresses: meshlab down --purge --name {lab}",
            )
        return AddressBlock(kept, guard)
    count = LAST - FIRST + 1
    start = zlib.crc32(f"{os.getuid()}/{lab}".encode())
    for step in range(count):
        octet = FIRST + (start + step) % count
        if octet not in avoid and (guard := _bind(octet)):
            return AddressBlock(octet, guard)
    raise ClusterError(
        "ML117",
        f"all {count} address blocks 127.{FIRST}.* to 127.{LAST}.* are in use",
        about=f"lab {lab}",
        hint="stop a lab you don't need: meshlab down --purge --name …",
    )


def _bind(octet: int) -> socket.socket | None:
    guard = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        guard.bind((f"127.{octet}.255.254", _GUARD_PORT))
    except OSError as error:
        guard.close()
        if error.errno == errno.EADDRINUSE:
            return None
        reason = error.strerror or str(error)
        hint = "the embedded cluster needs Linux, where all of 127.0.0.0/8 is local"
        raise ClusterError("ML122", reason, about=f"address 127.{octet}.255.254", hint=hint) from error
    return guard
