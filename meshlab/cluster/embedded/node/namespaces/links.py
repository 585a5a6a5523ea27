"""Which messages tell the kernel to wire a pod to the node? A bridge, and a pair of linked interfaces for each pod.

Pure: bytes for a netlink socket of the routing family. `ip link` and `ip address` send the same.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv4Interface
from pathlib import Path

from meshlab.nft.netlink import attribute, messages_in, nested, text

_BRIDGE, _ETHERNET, _LOOPBACK = "meshlab0", "eth0", "lo"
_INDEX = 1000
"""The number asked for the bridge, and for each eth0: some kernels have more than a loopback in every new network."""

_NEW_LINK, _NEW_ADDRESS = 16, 20
_REQUEST, _ACK, _CREATE, _EXCLUSIVE = 0x1, 0x4, 0x400, 0x200
_UP = 0x1
_NAME, _MASTER, _LINK_INFO, _NAMESPACE_OF_PID, _PER_FAMILY = 3, 10, 18, 19, 26
_KIND, _DATA, _PEER = 1, 2, 1
_ADDRESS_GENERATION, _NO_ADDRESS = 8, b"\x01"
_ADDRESS, _LOCAL = 1, 2
_HARDWARE_ADDRESS, _OURS = 1, b"\x02\x00"
"""A hardware address that begins so is nobody's."""
_ERROR = 2
_LONGEST = 2**16
_HAS_IPV6 = Path("/proc/net/if_inet6").exists()


WAY = (socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
"""The kind of socket that takes these messages."""


def apply(messages: bytes, way: socket.socket) -> None:
    """Have the messages done, in the network that the netlink socket `way` was opened in. Raises OSError."""
    way.sendto(messages, (0, 0))
    while True:
        try:
            answers = way.recv(_LONGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return  # all of them were there before the sending returned
        for kind, _, body in messages_in(answers):
            (code,) = struct.unpack_from("=i", body)
            if kind == _ERROR and code:
                raise OSError(-code, os.strerror(-code))


def node(address: IPv4Interface) -> bytes:
    """In the node: its bridge, with its address, and its loopback."""
    kind = attribute(_LINK_INFO, text(_KIND, "bridge"))
    # Left to itself a bridge takes the least hardware address of its ports, and pods would lose it with each change.
    own = attribute(_HARDWARE_ADDRESS, _OURS + address.ip.packed)
    made = _message(_NEW_LINK, _link(index=_INDEX) + text(_NAME, _BRIDGE) + own + kind, _CREATE | _EXCLUSIVE)
    return made + _without_ipv6(_BRIDGE) + _up(_BRIDGE) + _address(address) + _up(_LOOPBACK)


def pod(address: IPv4Interface, holder: int, node_end: str) -> bytes:
    """In a pod: its eth0, linked with an interface of that name in the network of the process `holder`."""
    other = _link() + text(_NAME, node_end) + attribute(_NAMESPACE_OF_PID, struct.pack("=I", holder))
    pair = text(_KIND, "veth") + nested(_DATA, nested(_PEER, other))
    # By the address of the network, so that who remembers the last pod that had it is not wrong about the next.
    own = attribute(_HARDWARE_ADDRESS, _OURS + address.ip.packed)
    linked = own + nested(_LINK_INFO, pair)
    made = _message(_NEW_LINK, _link(index=_INDEX) + text(_NAME, _ETHERNET) + linked, _CREATE | _EXCLUSIVE)
    return made + _without_ipv6(_ETHERNET) + _up(_ETHERNET) + _address(address) + _up(_LOOPBACK)


def port(node_end: str) -> bytes:
    """In the node: the other end of a pod's pair is a port of the bridge."""
    return _without_ipv6(node_end) + _up(node_end, attribute(_MASTER, struct.pack("=I", _INDEX)))


def _address(of: IPv4Interface) -> bytes:
    """An address of the interface with the known number, and with it the way to all addresses of its network."""
    head = struct.pack("=BBBBI", socket.AF_INET, of.network.prefixlen, 0, 0, _INDEX)
    body = head + attribute(_LOCAL, of.ip.packed) + attribute(_ADDRESS, of.ip.packed)
    return _message(_NEW_ADDRESS, body, _CREATE | _EXCLUSIVE)


def _up(name: str, settings: bytes = b"") -> bytes:
    return _message(_NEW_LINK, _link(_UP) + text(_NAME, name) + settings)


def _link(flags: int = 0, index: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _without_ipv6(name: str) -> bytes:
    """Have the kernel make up no address of IPv6 when the interface comes up: nothing redirects what is sent there."""
    if not _HAS_IPV6:
        return b""
    inet6 = attribute(socket.AF_INET6, attribute(_ADDRESS_GENERATION, _NO_ADDRESS))
    return _message(_NEW_LINK, _link() + text(_NAME, name) + nested(_PER_FAMILY, inet6))


def _message(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", len(body) + 16, kind, _REQUEST | _ACK | flags, 0, 0) + body
