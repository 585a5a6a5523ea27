"""How does one ask an Envoy about itself? Over its admin socket, which only its own user may open."""

from __future__ import annotations

import http.client
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from meshlab.dataplane.envoy.bootstrap import ADMIN_SOCKET

_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin interface of the Envoy that works in `folder`. Calls block."""

    folder: Path

    def get(self, path: str) -> str:
        """The text at a path: ``/stats``, ``/config_dump``, ``/certs``, ``/clusters``."""
        return self._call("GET", path)

    def post(self, path: str) -> str:
        """Do something: ``/healthcheck/fail``, ``/quitquitquit``."""
        return self._call("POST", path)

    def active_requests(self) -> int:
        """How many requests the proxy is carrying now."""
        stats = self.get("/stats?filter=^http\\.(inbound|outbound)\\.downstream_rq_active$").split("\n")
        return sum(int(line.rpartition(":")[2]) for line in stats if line)

    def _call(self, method: str, path: str) -> str:
        connection = http.client.HTTPConnection("admin")
        folder = os.open(self.folder, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX) as raw:
                raw.settimeout(_TIMEOUT)
                raw.connect(f"/proc/self/fd/{folder}/{ADMIN_SOCKET}")  # its own path may be too long for a socket
                connection.sock = raw
                connection.request(method, path)
                return connection.getresponse().read().decode()
        finally:
            os.close(folder)
