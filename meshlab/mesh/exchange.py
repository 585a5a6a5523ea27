"""What was said between two workloads? One request or connection, as one proxy reported it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from meshlab.mesh.identity import Identity


class Side(StrEnum):
    """Which end's proxy reported (SMI TrafficMetrics' `edge.side`)."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One access-log entry in the mesh's words. A data plane reads its own logs into this."""

    side: Side
    time: float
    """Start, seconds since the epoch."""
    reporter: str
    """``namespace/name`` of the pod whose proxy reported."""
    source: Identity | None
    destination: Identity | None
    source_workload: str = ""
    destination_workload: str = ""
    upstream: str = ""
    """The Service port called, ``namespace/name|port``; on the client side of a split, the chosen backend."""
    method: str = ""
    path: str = ""
    authority: str = ""
    """Which host and port the caller asked for; without HTTP, the address it dialled."""
    status: int = 0
    """HTTP status; 0 when there was no answer, or no HTTP."""
    duration_ms: float = 0.0
    bytes_sent: int = 0
    bytes_received: int = 0
    flags: tuple[str, ...] = ()
    """Response flags in the proxy's short form: ``UF``, ``UO``, ``NR``."""
    details: str = ""
    allowed_by: str = ""
    """The permission that let it in, where the server's proxy says so."""
    tls_version: str = ""
    """Empty: not encrypted."""
    peer_serial: str = ""
    request_id: str = ""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """The headers that policies for the destination speak of, as the server's proxy saw them; None: absent."""
    under_way: bool = False
    """A connection that was let in and goes on: how it went is told when it ends, perhaps in a week."""
    refused: bool = False
    """Whether the server's proxy refused it because no policy admits it. A 403 of the app's own is an answer."""
    meaning: str = ""
    """What went wrong, in plain words; empty when nothing did."""

    @property
    def mtls(self) -> bool:
        """Whether both ends proved who they are."""
        return bool(self.tls_version) and self.source is not None and self.destination is not None
