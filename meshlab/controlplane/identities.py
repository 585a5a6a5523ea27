"""What of the control plane is about identity, and how does it fit together?

What is trusted (`TrustStore`) is followed by all that comes of it: the control plane's own certificate, the workloads',
the proxies', the roots in the API server's webhooks. What they have taken lets `Rotation` move the trust on.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine
from typing import Any

from meshlab.controlplane.acknowledgements import Acknowledgements, Behind
from meshlab.controlplane.certificates import Signer
from meshlab.controlplane.loop import Loop
from meshlab.controlplane.push import Pusher
from meshlab.controlplane.reader import Reader
from meshlab.controlplane.rotation import Rotation
from meshlab.controlplane.serving import NAMESPACE, OwnCertificate
from meshlab.controlplane.status import StatusWriter
from meshlab.controlplane.svids import Svids
from meshlab.controlplane.trust_status import status_of
from meshlab.controlplane.trust_store import TrustStore
from meshlab.controlplane.webhooks import Registration
from meshlab.kube import Kube
from meshlab.kube.objects import MESH_ROOT_CERTIFICATE
from meshlab.xds import AdsServer


class Identities:
    """Everything that follows the trust, in every replica."""

    def __init__(self, kube: Kube, store: TrustStore, reader: Reader) -> None:
        self._kube = kube
        self._reader = reader
        self.store = store
        self.own = OwnCertificate(store)
        self.svids = Svids(store)
        self.signer = Signer(kube, store)
        self.registration = Registration(kube, store)
        store.subscribe(reader.wake)
        store.subscribe(self.own.wake)

    def duties(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs all the time."""
        return self.store.run(), self.own.renew(), self.registration.run(), self.svids.renew(self._reader.wake)

    def acknowledgements(self, loop: Loop, pusher: Pusher, ads: AdsServer, secrets: str) -> Acknowledgements:
        """Who has taken the trust; `secrets` is the type of resource that it travels in."""
        return Acknowledgements(
            store=self.store,
            own=self.own,
            registration=self.registration,
            signer=self.signer,
            pusher=pusher,
            ads=ads,
            secrets=secrets,
            world=lambda: loop.reading.world,
        )

    def rotation(self, loop: Loop, acknowledgements: Acknowledgements, statuses: StatusWriter) -> Rotation:
        """What moves the trust on, in the leader; it hears of all that is taken."""

        def tell(behind: Collection[Behind]) -> None:
            for (namespace, name), obj in self._reader.store(MESH_ROOT_CERTIFICATE).items():
                if namespace == NAMESPACE:
                    before, finding = obj.get("status") or {}, rotation.findings.get(name)
                    status = status_of(name, before, self.store.trust, behind, finding)
                    statuses.want(MESH_ROOT_CERTIFICATE, namespace, name, status)

        rotation = Rotation(self._kube, self.store, lambda: loop.reading.roots, acknowledgements.behind, tell)
        for part in (self.own, self.registration, self.signer):
            part.subscribe(rotation.heard)
        acknowledgements.ads.proxies.subscribe(lambda _: rotation.heard())
        loop.on_findings.append(lambda _: rotation.look())
        return rotation
