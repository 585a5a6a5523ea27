"""How does the control plane prove that it is the control plane? A certificate of its own, and HTTPS with it."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from meshlab.errors import MeshlabError
from meshlab.identity import Svid, new_svid
from meshlab.mesh.identity import Identity
from meshlab.xds import KeyPair

if TYPE_CHECKING:
    from meshlab.controlplane.trust_store import TrustStore

log = logging.getLogger(__name__)

LOOK_AT_CLOCK_SECONDS = 20.0
"""How long to wait for a moment at most: time that a laptop sleeps does not pass for those who wait."""
_RETRY_SECONDS = 5.0
NAMESPACE = "meshlab-system"
SERVICE = "meshlab-controller"
"""Leads to the leader."""
WEBHOOKS = "meshlab-webhooks"
"""Leads to every replica that is ready."""
IDENTITY = Identity(NAMESPACE, SERVICE)
DNS_NAMES = tuple(
    f"{service}.{NAMESPACE}{suffix}" for service in (SERVICE, WEBHOOKS) for suffix in (".svc", "", ".svc.cluster.local")
)


class OwnCertificate:
    """What every server of the control plane shows. Replaced in place: open connections stay, new ones see the new."""

    def __init__(self, store: TrustStore) -> None:
        self._store = store
        self._svid = Svid(b"", b"")
        self.signer = ""
        """The authority that signed it."""
        self._contexts: list[ssl.SSLContext] = []
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever another one is shown."""
        self._listeners.append(listener)

    async def obtain(self) -> None:
        """Have a new one signed, and show it."""
        signer = self._store.trust.signer.id
        self._svid = await new_svid(self._store.issuer, IDENTITY, names=DNS_NAMES)
        for context in self._contexts:
            _load(context, self._svid)
        self.signer = signer
        for listener in self._listeners:
            listener()
        log.info("the control plane has certificate %s until %s", self._svid.serial, self._svid.expires)

    def key_pair(self) -> KeyPair:
        """For the discovery server, which demands a certificate of this mesh from its clients."""
        return KeyPair(self._svid.key, self._svid.chain, self._store.trust.bundle)

    def context(self, *, asks_client: bool = False) -> ssl.SSLContext:
        """For an HTTPS server; `asks_client`: a client may show a certificate, of the roots the caller will load."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if asks_client:
            context.verify_mode = ssl.CERT_OPTIONAL
        _load(context, self._svid)
        self._contexts.append(context)
        return context

    def wake(self) -> None:
        """Look at once whether another one is needed."""
        self._wake.set()

    async def renew(self) -> None:
        """Replace the certificate when it is due, or when another authority signs; until cancelled."""
        while True:
            if self._svid.is_due() or self.signer != self._store.trust.signer.id:
                try:
                    await self.obtain()
                except MeshlabError as error:
                    log.warning("no new certificate for the control plane; it is tried again: %s", error)
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
            wait = (self._svid.renew_at - datetime.now(UTC)).total_seconds()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(max(wait, 1.0), LOOK_AT_CLOCK_SECONDS)):
                    await self._wake.wait()
            self._wake.clear()


def bind_address() -> str:
    """Where to listen: the pod's address on a network without namespaces, every interface elsewhere."""
    return os.environ.get("BIND_ADDRESS", "0.0.0.0")  # noqa: S104


async def serve(
    routes: Sequence[web.RouteDef], address: str, port: int, context: ssl.SSLContext | None = None
) -> tuple[web.AppRunner, int]:
    """Serve HTTP(S) routes; what stops it, and the port (the system's choice when `port` is 0)."""
    app = web.Application(client_max_size=4 << 20)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, address, port, ssl_context=context, reuse_address=True)
    await site.start()
    return runner, runner.addresses[0][1]


def _load(context: ssl.SSLContext, svid: Svid) -> None:
    """Python takes a certificate and key from a file only: one without a name, in memory."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, svid.key + svid.chain)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
