"""Which certificate does each identity show? One per identity, replaced well before it expires."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from meshlab.controlplane.serving import LOOK_AT_CLOCK_SECONDS
from meshlab.dataplane.base import Credentials
from meshlab.identity import Issuer, Svid, new_svid
from meshlab.mesh.identity import Identity

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


class Svids:
    """The certificates of all identities that have a workload. Keys live in memory only."""

    def __init__(self, issuer: Issuer, bundle: bytes) -> None:
        self._issuer = issuer
        self._bundle = bundle
        self._held: dict[Identity, Credentials] = {}
        self.lifetime = timedelta(hours=24)

    def __getitem__(self, identity: Identity) -> Credentials:
        """What an identity shows. `ensure` has to have been asked for it."""
        return self._held[identity]

    def get(self, identity: Identity) -> Svid | None:
        """The certificate of an identity, if it has one."""
        held = self._held.get(identity)
        return held.svid if held else None

    async def ensure(self, identities: Iterable[Identity]) -> None:
        """Issue what is missing or due, and drop identities that have no workload any more."""
        wanted = set(identities)
        for gone in self._held.keys() - wanted:
            del self._held[gone]
        for identity in sorted(wanted):
            held = self._held.get(identity)
            if held is None or held.svid.is_due():
                svid = await new_svid(self._issuer, identity, lifetime=self.lifetime)
                self._held[identity] = Credentials(svid, self._bundle)
                log.info("%s has certificate %s until %s", svid.spiffe_id, svid.serial, svid.expires)

    async def renew(self, due: Callable[[], None]) -> None:
        """Call `due` whenever a certificate has to be replaced; until cancelled."""
        while True:
            now = datetime.now(UTC)
            next_due = min((held.svid.renew_at for held in self._held.values()), default=None)
            if next_due is not None and next_due <= now:
                due()
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            wait = (next_due - now).total_seconds() if next_due else 1.0
            await asyncio.sleep(min(max(wait, 1.0), LOOK_AT_CLOCK_SECONDS))
