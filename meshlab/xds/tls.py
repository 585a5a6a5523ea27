"""Who is at the other end of a stream? Mutual TLS for discovery, with a certificate that can be renewed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from meshlab.mesh.identity import node_name


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What a server shows (key and certificate chain) and whom it trusts (roots), all PEM."""

    key: bytes
    chain: bytes
    roots: bytes


@dataclass(frozen=True, slots=True)
class Peer:
    """What the certificate at the other end proves."""

    spiffe_id: str
    names: frozenset[str]

    @classmethod
    def of(cls, context: grpc.aio.ServicerContext[Any, Any]) -> Peer:
        """The peer of a call that was accepted over mutual TLS; blank when there was none."""
        proven = context.auth_context()
        names = frozenset(name.decode() for name in proven.get("x509_subject_alternative_name", ()))
        return cls(next((name for name in names if name.startswith("spiffe://")), ""), names)

    def is_node(self, node: str) -> bool:
        """Whether this is the proxy it says it is: its certificate names the node as ``<node>.pod``."""
        return bool(self.spiffe_id) and node_name(node) in self.names


def credentials(current: Callable[[], KeyPair]) -> grpc.ServerCredentials:
    """Server credentials that demand a client certificate. `current` is asked at every handshake."""
    shown = current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        wanted = current()
        if wanted == shown:
            return None
        shown = wanted
        return _configuration(wanted)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown),
        fetch,  # type: ignore[arg-type]  # None means unchanged; the stubs don't know
        require_client_authentication=True,
    )


def _configuration(pair: KeyPair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.chain)], root_certificates=pair.roots)
