"""Whom does the mesh trust, who signs, who has not taken that yet, and what expires first? Part of the observe API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from meshlab.controlplane.acknowledgements import Acknowledgements
from meshlab.controlplane.api import GROUP_VERSION, ROOT
from meshlab.controlplane.front_proxy import FrontProxy
from meshlab.controlplane.loop import as_json
from meshlab.controlplane.rotation import Rotation
from meshlab.controlplane.svids import Svids
from meshlab.identity.authority import Authority


class TrustApi:
    """`GET …/trust`."""

    def __init__(
        self, front_proxy: FrontProxy, acknowledgements: Acknowledgements, rotation: Rotation, svids: Svids
    ) -> None:
        self._front_proxy = front_proxy
        self._acknowledgements = acknowledgements
        self._rotation = rotation
        self._svids = svids

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [web.get(f"{ROOT}/trust", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        self._front_proxy.check(request)
        trust = self._acknowledgements.store.trust
        meshed = [workload for workload in self._acknowledgements.world().workloads if workload.meshed]
        behind = sorted(self._acknowledgements.behind())
        first = min(self._svids.all(), key=lambda svid: svid.expires, default=None)
        return web.json_response(
            {
                "kind": "Trust",
                "apiVersion": GROUP_VERSION,
                "trust_domain": trust.trust_domain,
                "version": trust.version,
                "signer": trust.signer.name,
                "authorities": [_described(authority, trust.signer) for authority in trust.trusted],
                "proxies": len(meshed),
                "behind": [asdict(one) for one in behind],
                "certificates": len(self._svids.all()),
                "first_expiry": first and {"identity": first.spiffe_id, "not_after": first.expires.timestamp()},
                "findings": as_json(self._rotation.findings.values()),
            }
        )


def _described(authority: Authority, signer: Authority) -> dict[str, Any]:
    return {
        "name": authority.name,
        "id": authority.id,
        "signs": authority == signer,
        "provider": "certManager" if authority.cert_manager else "tresor",
        "serial": authority.serial,
        "not_after": authority.expires.timestamp(),
    }
