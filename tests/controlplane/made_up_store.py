"""A trust that is stored nowhere."""

from __future__ import annotations

import base64
from typing import Any

from meshlab.controlplane.trust_store import TrustStore
from meshlab.identity import CertificateAuthority
from meshlab.identity.authority import Authority
from meshlab.identity.trust import Trust
from meshlab.kube import Object


class Memory:
    """A Kube that keeps one Secret."""

    def __init__(self) -> None:
        self.version = 1

    async def replace(self, obj: Object) -> Object:
        self.version += 1
        return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}


async def authority(name: str = "root", made: CertificateAuthority | None = None) -> Authority:
    return await Authority.of(name, made or CertificateAuthority.create())


async def made_up_store(made: CertificateAuthority | None = None) -> TrustStore:
    """A mesh that trusts one authority."""
    trust = Trust.in_one(await authority(made=made))
    kube: Any = Memory()
    return TrustStore(
        kube,
        {
            "metadata": {"resourceVersion": "1"},
            "data": {"trust.json": base64.b64encode(trust.to_json()).decode()},
        },
    )
