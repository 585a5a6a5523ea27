"""Which certificate does each identity show? One per identity, replaced in good time, and when another signs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from meshlab.controlplane.serving import LOOK_AT_CLOCK_SECONDS
from meshlab.controlplane.trust_store import TrustStore
from meshlab.dataplane.base import Credentials
from meshlab.errors import IdentityError, MeshlabError
from meshlab.identity import Svid, new_svid
from meshlab.identity.trust import Trust
from meshlab.mesh.identity import Identity

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_PATIENCE_SECONDS = 1.0
"""How long the rest of the mesh waits for a signer. The built-in one takes a millisecond."""


class Svids:
    """The certificates of all identities that have a workload. Keys live in memory only."""

    def __init__(self, store: TrustStore) -> None:
        self._store = store
        self._held: dict[Identity, Credentials] = {}
        self._issuing: dict[Identity, asyncio.Task[None]] = {}
        self._arrived = asyncio.Event()
        """Set when one has come that nobody waited for any more."""
        self._lifetimes: dict[Identity, timedelta] = {}
        """The lifetime that each was issued for: another setting is for all at once."""
        self.lifetime = timedelta(hours=24)
        self.names: Mapping[Identity, tuple[str, ...]] = {}
        """Host names that an identity's certificate has besides: the gateway's."""

    def __getitem__(self, identity: Identity) -> Credentials:
        """What an identity shows, and trusts. Raises IdentityError ML407 while nobody has signed for it."""
        try:
            return self._held[identity]
        except KeyError:
            raise IdentityError("ML407", "no certificate has been signed for it yet", about=str(identity)) from None

    def get(self, identity: Identity) -> Svid | None:
        """The certificate of an identity, if it has one."""
        held = self._held.get(identity)
        return held.svid if held else None

    def all(self) -> list[Svid]:
        """Every certificate."""
        return [held.svid for held in self._held.values()]

    async def ensure(self, identities: Iterable[Identity]) -> None:
        """Have issued what is missing, due, or of another signer, and drop identities that have no workload any more.

        A signer that takes its time is not waited for: `renew` calls when its answer is there.
        """
        wanted = set(identities)
        for gone in self._held.keys() - wanted:
            del self._held[gone]
        begun = []
        for identity in sorted(filter(self._is_stale, wanted - self._issuing.keys())):
            task = self._issuing[identity] = asyncio.create_task(self._issue(identity, self._store.trust))
            begun.append(task)
        if begun:
            await asyncio.wait(begun, timeout=_PATIENCE_SECONDS)
        for identity, held in self._held.items():
            if held.bundle != self._store.trust.bundle:
                self._held[identity] = replace(held, bundle=self._store.trust.bundle)

    async def renew(self, due: Callable[[], None]) -> None:
        """Call `due` whenever a certificate has to be replaced, or one has come; until cancelled."""
        while True:
            now = datetime.now(UTC)
            next_due = min((held.svid.renew_at for held in self._held.values()), default=None)
            if next_due is not None and next_due <= now:
                due()
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            wait = (next_due - now).total_seconds() if next_due else 1.0
            try:
                async with asyncio.timeout(min(max(wait, 1.0), LOOK_AT_CLOCK_SECONDS)):
                    await self._arrived.wait()
            except TimeoutError:
                continue
            self._arrived.clear()
            due()

    def _is_stale(self, identity: Identity) -> bool:
        held = self._held.get(identity)
        if held is None or held.svid.is_due() or held.signer != self._store.trust.signer.id:
            return True
        asked = set(self.names.get(identity, ())), self.lifetime
        return (set(held.svid.host_names), self._lifetimes[identity]) != asked

    async def _issue(self, identity: Identity, trust: Trust) -> None:
        names, lifetime = self.names.get(identity, ()), self.lifetime
        try:
            svid = await new_svid(self._store.issuer, identity, names=names, lifetime=lifetime)
            self._lifetimes[identity] = lifetime
            self._held[identity] = Credentials(svid, self._store.trust.bundle, trust.signer.id)
            log.info("%s has certificate %s until %s", svid.spiffe_id, svid.serial, svid.expires)
        except MeshlabError as error:
            log.warning("no new certificate for %s; it is tried again: %s", identity, error)
            await asyncio.sleep(_RETRY_SECONDS)
        finally:
            del self._issuing[identity]
            self._arrived.set()
