"""What keeps the pods' networks? A process of its own, run as a script that knows the standard library only.

A process that has threads can't enter a user namespace, and only one inside can make what belongs inside. So the
daemon starts this one, which makes the node's namespaces around itself, and from then on does two things when asked:
make the namespaces of a pod, and open a socket in one of them and hand it over. A socket stays with the network it was
opened in, so with those the daemon does all the rest from where it is. The holder ends when the daemon does, and with
it every namespace that no other process is in.

Each request is one JSON object, and so is each answer.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

NODE = ""
"""The name of the node's own place; a pod's is its uid."""
NAMESPACES = ("user", "net", "uts", "ipc")
"""In the order in which they are to be joined."""

_NEW_UTS, _NEW_IPC, _NEW_USER, _NEW_NET = 0x4000000, 0x8000000, 0x10000000, 0x40000000
_ANY_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_NUMBER = 4
_LONGEST = 2**16
_libc = ctypes.CDLL(None, use_errno=True)


class Holder:
    """The node's namespaces, which the process is in, and the pods', which it has descriptors of."""

    def __init__(self) -> None:
        _be_alone(_NEW_NET)
        self._places = {NODE: {"net": os.open("/proc/self/ns/net", os.O_RDONLY)}}

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, int], list[int]]:
        """Do what is asked: what there is to say, and descriptors to hand over."""
        match request.pop("do"):
            case "pod":
                return self._pod(**request), []
            case "socket":
                return {}, [self._socket(**request)]
            case "forget":
                for descriptor in self._places.pop(request["place"], {}).values():
                    os.close(descriptor)
        return {}, []

    def _pod(self, place: str, hostname: str) -> dict[str, int]:
        """A pod's namespaces: the numbers of their descriptors here. A child makes them, and ends."""
        hearing, saying = os.pipe()
        waiting, going_on = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(going_on)
            os.write(saying, _be_in_a_pod(hostname).to_bytes(_NUMBER))
            os.read(waiting, 1)
            os._exit(0)
        os.close(saying)
        os.close(waiting)
        try:
            if failure := int.from_bytes(os.read(hearing, _NUMBER)):
                raise OSError(failure, f"no namespaces for a pod: {os.strerror(failure)}")
            opened = {name: os.open(f"/proc/{child}/ns/{name}", os.O_RDONLY) for name in NAMESPACES}
        finally:
            os.close(hearing)
            os.close(going_on)
            os.waitpid(child, 0)
        self._places[place] = opened
        return opened

    def _socket(self, place: str, family: int, kind: int, protocol: int) -> int:
        _call("setns", self._places[place]["net"], _NEW_NET)
        try:
            return socket.socket(family, kind, protocol).detach()
        finally:
            _call("setns", self._places[NODE]["net"], _NEW_NET)


def _be_alone(kinds: int) -> None:
    """Move into new namespaces, as the same user, who may do everything there and nothing more elsewhere."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NEW_USER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)
    _call("unshare", kinds)


def _be_in_a_pod(hostname: str) -> int:
    """Move into namespaces of a pod's own; the number of what went wrong, or 0."""
    try:
        _be_alone(_NEW_NET | _NEW_UTS | _NEW_IPC)
        socket.sethostname(hostname)
    except OSError as error:
        return error.errno or -1
    with suppress(OSError):  # a /proc that can't be written: then ports below 1024 need the capability
        _ANY_PORT.write_text("0")  # as container runtimes do: in its own network anybody may have port 80
    return 0


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def main() -> None:
    """Make the node around this process, then answer until the daemon has closed the channel or died."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.setsid()
    try:
        holder = Holder()
    except OSError as error:
        channel.send(_failure(error))
        return
    channel.send(b"{}")
    while request := channel.recv(_LONGEST):
        try:
            said, handed = holder.answer(json.loads(request))
        except OSError as error:
            channel.send(_failure(error))
            continue
        socket.send_fds(channel, [json.dumps(said).encode()], handed)
        for descriptor in handed:
            os.close(descriptor)


def _failure(error: OSError) -> bytes:
    return json.dumps({"errno": error.errno, "what": error.strerror}).encode()


if __name__ == "__main__":
    main()
