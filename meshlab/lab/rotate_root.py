"""How is the root of all identities replaced while calls go on? By the roles of two MeshRootCertificates.

The control plane takes no step before all proxies have taken the one before. So what is shown here is what they have
acknowledged, and it does not matter how long they take; who is interrupted goes on where they stopped.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from meshlab.errors import IdentityError
from meshlab.kube import Kube, Object
from meshlab.kube.objects import MESH_ROOT_CERTIFICATE, SECRET
from meshlab.lab.shown import Shown
from meshlab.lab.steps import Listener, Report, Say, Step, Steps, to_log
from meshlab.lab.stream import ROOT
from meshlab.mesh.root_certificate import Role, RootCertificate
from meshlab.policy.osm import mesh_root_certificate

_NAMESPACE = mesh_root_certificate.NAMESPACE
_NAME, _SECRET = "meshlab-root", "meshlab-ca"
_NUMBERED = rf"{_NAME}-(\d+)"
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0
"""How long nobody may have taken anything before it is said who is missing."""


@dataclass(frozen=True, repr=False)
class RotatedRoot(Shown):
    """What a rotation did: the root that signed before, the one that does now, and what each step took."""

    old: str
    new: str
    serial: str
    """Of the new root, in hexadecimal."""
    steps: tuple[Report, ...]

    def lines(self) -> Iterator[str]:
        """The steps, below one sentence."""
        yield f"{self.new} (serial {self.serial}) has replaced {self.old}"
        for step in self.steps:
            yield f"  {step}"


async def rotate_root(kube: Kube, progress: Listener = to_log) -> RotatedRoot:
    """Replace the root that signs by a new one; `progress` hears of every step.

    Raises IdentityError ML421 when proxies do not take a step.
    """
    rotation = _Rotation(kube)
    await rotation.begin()
    taken = Steps(progress)
    await taken.run(
        [
            Step(f"Trust {rotation.new}, too", rotation.trust_both),
            Step(f"Let {rotation.new} sign", rotation.let_new_sign),
            Step(f"Trust {rotation.old} no more", rotation.trust_new_alone),
            Step(f"Take {rotation.old} away", rotation.take_old_away),
        ]
    )
    return RotatedRoot(rotation.old, rotation.new, rotation.serial, tuple(taken.taken))


class _Rotation:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self.old, self.new, self.serial = "", "", ""

    async def begin(self) -> None:
        """Find out which is the old one, and make the new one; or find both, if this was begun before."""
        roots = sorted(await self._kube.list(MESH_ROOT_CERTIFICATE, _NAMESPACE), key=_age)
        in_use = [root for root in roots if root["spec"].get("role", Role.ACTIVE) != Role.INACTIVE]
        if not in_use:
            raise IdentityError("ML413", "no MeshRootCertificate is in use", hint="kubectl get mrc -A")
        self.old = in_use[0]["metadata"]["name"]
        if len(in_use) > 1:
            self.new = in_use[-1]["metadata"]["name"]
            return
        numbers = [int(found[1]) for root in roots if (found := re.fullmatch(_NUMBERED, root["metadata"]["name"]))]
        number = max(numbers, default=1) + 1
        self.new = f"{_NAME}-{number}"
        domain = in_use[0]["spec"].get("trustDomain") or RootCertificate(self.new).trust_domain
        root = RootCertificate(self.new, Role.PASSIVE, domain, secret=f"{_SECRET}-{number}")
        await self._kube.create(mesh_root_certificate.write(root))

    async def trust_both(self, say: Say) -> str:
        """Everybody trusts the new one besides the old."""
        return await self._until(lambda trust: self.new in _names(trust), say)

    async def let_new_sign(self, say: Say) -> str:
        """Everybody shows a certificate of the new one."""
        await self._set(self.new, Role.ACTIVE)
        done = await self._until(lambda trust: trust["signer"] == self.new, say)
        await self._set(self.old, Role.PASSIVE)
        return done

    async def trust_new_alone(self, say: Say) -> str:
        """Nobody trusts the old one."""
        await self._set(self.old, Role.INACTIVE)
        return await self._until(lambda trust: _names(trust) == {self.new}, say)

    async def take_old_away(self, _: Say) -> str:
        """Its MeshRootCertificate is gone, and its key, if the mesh made it."""
        root = await self._kube.get(MESH_ROOT_CERTIFICATE, self.old, _NAMESPACE)
        provider = root["spec"]["provider"]
        await self._kube.delete(MESH_ROOT_CERTIFICATE, self.old, _NAMESPACE)
        if "tresor" not in provider:
            return ""
        name = provider["tresor"]["ca"]["secretRef"]["name"]
        secret = await self._kube.find(SECRET, name, _NAMESPACE)
        if secret is None or not _is_ours(secret):
            return f"Secret {name} stays: it was brought"
        await self._kube.delete(SECRET, name, _NAMESPACE)
        return f"and Secret {name}"

    async def _set(self, name: str, role: Role) -> None:
        await self._kube.patch(MESH_ROOT_CERTIFICATE, name, {"spec": {"role": str(role)}}, _NAMESPACE)

    async def _until(self, reached: Callable[[Object], bool], say: Say) -> str:
        """Wait until the mesh is that far, and everybody has taken it."""
        last, since = "", time.monotonic()
        while True:
            trust = await self._kube.request("GET", f"{ROOT}/trust")
            behind = trust["behind"]
            if reached(trust) and not behind:
                self.serial = next((one["serial"] for one in trust["authorities"] if one["name"] == self.new), "")
                return f"{trust['proxies']} proxies have acknowledged"
            wrong = [finding for finding in trust["findings"] if finding["about"].endswith(f"/{self.new}")]
            if wrong:
                raise IdentityError(wrong[0]["code"], wrong[0]["what"], about=self.new, hint=wrong[0]["cure"])
            now = _waits_for(behind)
            if now != last:
                last, since = now, time.monotonic()
                say(now)
            if time.monotonic() - since > _PATIENCE_SECONDS:
                raise IdentityError("ML421", now or "the control plane does not move on", about=self.new)
            await asyncio.sleep(_LOOK_SECONDS)


def _waits_for(behind: list[dict[str, Any]]) -> str:
    if not behind:
        return ""
    others = f", and {len(behind) - 1} more" if len(behind) > 1 else ""
    return f"waiting for {behind[0]['who']}: {behind[0]['what']}{others}"


def _names(trust: Object) -> set[str]:
    return {authority["name"] for authority in trust["authorities"]}


def _age(root: Object) -> tuple[str, str]:
    return root["metadata"].get("creationTimestamp", ""), root["metadata"]["name"]


def _is_ours(secret: Object) -> bool:
    return (secret["metadata"].get("labels") or {}).get("app.kubernetes.io/part-of") == "meshlab"
