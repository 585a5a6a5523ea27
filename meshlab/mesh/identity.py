"""Who is speaking? A workload's identity, and how SPIFFE writes it."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_TRUST_DOMAIN = "cluster.local"


_NODE_SUFFIX = ".pod"


def node_name(node: str) -> str:
    """How a proxy's certificate carries its node id (``<pod>.<namespace>``): a DNS name no Service can have.

    Not the common name, which X.509 ends at 64 letters.
    """
    return node + _NODE_SUFFIX


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """The Kubernetes service account a workload runs as: the only thing a policy can name (SMI rule A9)."""

    namespace: str
    service_account: str

    def spiffe_id(self, trust_domain: str = DEFAULT_TRUST_DOMAIN) -> str:
        """The identity as a URI (SPIFFE-ID section 2): ``spiffe://<trust domain>/ns/<namespace>/sa/<account>``."""
        return f"spiffe://{trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @classmethod
    def from_spiffe_id(cls, uri: str) -> Identity | None:
        """The identity a SPIFFE id names, whatever its trust domain; None for any other URI."""
        scheme, _, rest = uri.partition("://")
        parts = rest.split("/")
        if scheme != "spiffe" or len(parts) != 5 or parts[1] != "ns" or parts[3] != "sa":
            return None
        return cls(parts[2], parts[4])

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service_account}"
