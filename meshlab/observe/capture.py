"""What passes on the interfaces of this pod? Run in a pod, with NET_RAW and nothing else:

    python -m meshlab.observe.capture --port 14001 --seconds 5 --segments 200

Prints one JSON object a line: first what it listens to, then each TCP segment to or from the port, what it is and
the first bytes of it. Nothing is masked: in plain traffic that includes headers and bodies, whatever they hold. It
ends when time is up or there were enough, and changes nothing.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from meshlab.observe.wire import Reader, segment

LOOPBACK = "lo"
KEPT_BYTES = 256

_EVERYTHING = 0x0003
_LARGEST_FRAME = 2**17
_SENT = socket.PACKET_OUTGOING


def main(words: list[str]) -> int:
    """Listen and print; the exit status."""
    parser = argparse.ArgumentParser(prog="meshlab.observe.capture", description="Print the TCP segments of a port.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--segments", type=int, default=200)
    given = parser.parse_args(words)
    try:
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
    except PermissionError:
        _print({"error": "the kernel lets only those listen who have NET_RAW"})
        return 1
    with listener:
        _print({"listening": vars(given)})
        for line in heard(listener, given.port, given.seconds, given.segments):
            _print(line)
    return 0


def heard(listener: socket.socket, port: int, seconds: float, most: int) -> Iterator[dict[str, Any]]:
    """The segments to or from a port, until time is up or there were enough."""
    deadline, count, reader = time.monotonic() + seconds, 0, Reader()
    while count < most and (left := deadline - time.monotonic()) > 0:
        listener.settimeout(left)
        try:
            frame, (interface, _, direction, *_) = listener.recvfrom(_LARGEST_FRAME)
        except TimeoutError:
            return
        if interface == LOOPBACK and direction == _SENT:
            continue  # it comes back at once, and would be counted twice
        found = segment(frame)
        if found is None or not any(end.endswith(f":{port}") for end in found.flow):
            continue
        count += 1
        yield {
            "t": time.time(),
            "interface": interface,
            "source": found.source,
            "destination": found.destination,
            "sequence": found.sequence,
            "bytes": len(found.data),
            "verdict": reader.verdict(found),
            "start": found.data[:KEPT_BYTES].hex(),
        }


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
