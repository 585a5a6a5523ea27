"""Whom does the API server trust when it is the client: of webhooks, aggregated servers, proxied pods?"""

from __future__ import annotations

import base64
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class TrustError(Exception):
    """A CA bundle that can't be read."""


@lru_cache(maxsize=64)
def trusting(ca_bundle: str) -> ssl.SSLContext:
    """TLS that trusts a base64 bundle of PEM certificates, or the system's when there is none. Raises TrustError."""
    return _context(ca_bundle)


@lru_cache(maxsize=64)
def front_proxy(ca_bundle: str, *, insecure: bool, cert: Path, key: Path) -> ssl.SSLContext:
    """The same, or trusting anybody if `insecure`; it shows the front proxy's certificate. Raises TrustError."""
    context = anybody() if insecure else _context(ca_bundle)
    context.load_cert_chain(cert, key)
    return context


def anybody() -> ssl.SSLContext:
    """TLS that believes any certificate: the link is private only as far as the network is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(ca_bundle: str) -> ssl.SSLContext:
    if not ca_bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(ca_bundle).decode())
    except (ssl.SSLError, ValueError) as error:
        raise TrustError(f"unable to load root certificates: {error}") from error
