"""How does the mesh get from the trust it has to the one that is wanted? A step when all have taken the last one.

What is wanted is said by MeshRootCertificates and their Secrets. What has been taken is said by those who take it:
each proxy acknowledges its secrets, each sidecar says which roots it knows the control plane by, and the API server's
webhooks are read back. Time plays no part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

from meshlab.controlplane.acknowledgements import Behind
from meshlab.controlplane.authorities import authority_in, authority_of, store_key_pair
from meshlab.controlplane.serving import NAMESPACE
from meshlab.controlplane.trust_store import TrustStore
from meshlab.errors import ClusterError, IdentityError
from meshlab.identity.authority import Authority
from meshlab.identity.trust import Trust, advance
from meshlab.kube import Kube, Ref, Reflector
from meshlab.kube.objects import MESH_ROOT_CERTIFICATE, SECRET
from meshlab.mesh.finding import Finding
from meshlab.mesh.root_certificate import Role, RootCertificate

log = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0


class Rotation:
    """Moves the trust. Runs in the leader."""

    def __init__(
        self,
        kube: Kube,
        store: TrustStore,
        roots: Callable[[], tuple[RootCertificate, ...]],
        behind: Callable[[], Iterator[Behind]],
        told: Callable[[Collection[Behind]], None],
    ) -> None:
        """`roots`: those that are wanted, oldest first; `behind`: who has not taken what holds; `told` hears of it."""
        self._kube = kube
        self._store = store
        self._roots = roots
        self._behind = behind
        self._told = told
        self._secrets = Reflector(kube, SECRET, NAMESPACE)
        self._read = False
        """Whether the Secrets have been read: before, one that is missing may only be unread."""
        self._known: dict[tuple[RootCertificate, str], Authority] = {}
        self._changed = asyncio.Event()
        self._moving = True
        """Whether not everybody is known to have what is wanted."""
        self._said = ""
        """The trust of which it has been told who is behind."""
        self.findings: dict[str, Finding] = {}
        """By root: why its authority can't be used."""

        store.subscribe(self._moved)

    def look(self) -> None:
        """Something may be wanted otherwise."""
        self._changed.set()

    def heard(self) -> None:
        """Somebody has taken something. Between rotations nobody asks."""
        if self._moving:
            self._changed.set()

    def _moved(self) -> None:
        self._moving = True
        self._changed.set()

    async def run(self) -> None:
        """Take step after step; until cancelled."""
        self._moving = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_secrets())
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_SECONDS if self.findings else None):
                        await self._changed.wait()
                self._changed.clear()
                try:
                    await self._step()
                except ClusterError as error:
                    log.warning("the trust can't move on yet: %s", error)
                    await asyncio.sleep(_RETRY_SECONDS)
                    self._changed.set()

    async def _watch_secrets(self) -> None:
        async for change in self._secrets.changes():
            self._read |= change.type == "SYNCED"
            self._changed.set()

    async def _step(self) -> None:
        if not self._read:
            return
        now = self._store.trust
        wanted = await self._wanted()
        self._moving |= wanted.version != now.version
        behind = self._behind() if self._moving else iter(())
        first = next(behind, None)  # of thousands, who answer one by one, one is enough to know
        following = advance(now, wanted, settled=first is None)
        if following.version != now.version:
            await self._store.write(following)
            return
        if first is None:
            self._told([])
        elif self._said != now.version:
            self._told([first, *behind])
        self._said = now.version
        self._moving = first is not None

    async def _wanted(self) -> Trust:
        """What is wanted, as far as it can be had: an authority that can't be used stays what it is."""
        found: list[tuple[RootCertificate, Authority]] = []
        roots = [root for root in self._roots() if root.role is not Role.INACTIVE]
        self.findings = {name: finding for name, finding in self.findings.items() if name in {r.name for r in roots}}
        for root in roots:
            try:
                authority: Authority | None = await self._authority(root)
                self.findings.pop(root.name, None)
            except IdentityError as error:
                authority = self._store.trust.find(root.name)
                self._find(root, error)
            if authority is not None:
                found.append((root, authority))
        signers = [authority for root, authority in found if root.role is Role.ACTIVE]
        if not signers:
            return self._store.trust
        return Trust(signers[-1], tuple(authority for _, authority in found))

    async def _authority(self, root: RootCertificate) -> Authority:
        """The authority of a root. Of a Secret that was deleted it is written again: it is still in use."""
        secret = self._secrets.store.get((NAMESPACE, root.secret))
        version = secret["metadata"]["resourceVersion"] if secret else ""
        if (root, version) not in self._known:
            self._known = {key: value for key, value in self._known.items() if key[0].name != root.name}
            used = self._store.trust.find(root.name)
            if secret:
                self._known[root, version] = await authority_in(secret, root)
            elif used and used.key and root.secret:
                log.warning("Secret %s/%s is gone: it is written again", NAMESPACE, root.secret)
                pair = {"tls.crt": used.certificate, "tls.key": used.key, "ca.crt": used.roots}
                await store_key_pair(self._kube, root.secret, {name: text.encode() for name, text in pair.items()})
                return used
            else:
                self._known[root, version] = await authority_of(self._kube, root)
        return self._known[root, version]

    def _find(self, root: RootCertificate, error: IdentityError) -> None:
        about = str(Ref(MESH_ROOT_CERTIFICATE.kind, root.name, NAMESPACE))
        hint = error.hint or "see what the message names"
        finding = Finding("ML415", about, "spec.provider", f"{error.about}: {error.what}", hint)
        if self.findings.get(root.name) != finding:
            log.warning("%s", finding)
        self.findings[root.name] = finding
