"""Who has not taken yet what the mesh trusts? Asked of the proxies' answers, never of a clock."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass

from meshlab.controlplane.certificates import Signer
from meshlab.controlplane.push import Pusher, node_id
from meshlab.controlplane.serving import OwnCertificate
from meshlab.controlplane.trust_store import TrustStore
from meshlab.controlplane.webhooks import Registration
from meshlab.mesh.world import World
from meshlab.xds import AdsServer


@dataclass(frozen=True, slots=True, order=True)
class Behind:
    """Somebody who has not taken the trust that holds, and what is missing."""

    who: str
    """``namespace/pod``, or a part of the control plane."""
    what: str


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """Everybody who has to take part, in one place."""

    store: TrustStore
    own: OwnCertificate
    registration: Registration
    signer: Signer
    pusher: Pusher
    ads: AdsServer
    secrets: str
    """The type of resource that certificates and roots travel in."""
    world: Callable[[], World]

    def behind(self) -> Iterator[Behind]:
        """Whoever does not hold all of the present trust: its roots, and a certificate of its signer."""
        trust = self.store.trust
        if self.registration.written != trust.version:
            yield Behind("API server", "its webhooks are given the roots")
        if self.own.signer != trust.signer.id:
            yield Behind("control plane", "it has no certificate of the signer yet")
        sidecars = self.signer.have(trust.version)
        for workload in self.world().workloads:
            if workload.meshed and (what := self._lacks(node_id(workload), sidecars)):
                yield Behind(f"{workload.namespace}/{workload.name}", what)

    def _lacks(self, node: str, sidecars: Container[str]) -> str:
        """What one pod has yet to take; empty when it has all. `sidecars`: those that have taken theirs."""
        trust, told = self.store.trust, self.pusher.credentials(node)
        if told is None or (told.bundle, told.signer) != (trust.bundle, trust.signer.id):
            return "no certificate of the signer yet"
        if not self.ads.holds(node, self.secrets):
            return "its proxy has not acknowledged"
        if node not in sidecars:
            return "its sidecar has not taken the roots that it knows the control plane by"
        return ""
