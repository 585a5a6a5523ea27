"""What must a way of writing policies be able to do?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Protocol

from meshlab.kube import Kind, Object
from meshlab.mesh.egress import EgressRule
from meshlab.mesh.finding import Finding
from meshlab.mesh.ingress import GatewayRoute, IngressRule
from meshlab.mesh.overlay import Overlay
from meshlab.mesh.retry import Retry
from meshlab.mesh.root_certificate import RootCertificate
from meshlab.mesh.rules import Permission, Split
from meshlab.mesh.settings import Settings
from meshlab.mesh.upstream_setting import UpstreamSetting


@dataclass(frozen=True, slots=True)
class Facts:
    """What a set of objects says, in the mesh's words, and what is wrong with it."""

    permissions: tuple[Permission, ...] = ()
    splits: tuple[Split, ...] = ()
    egress_rules: tuple[EgressRule, ...] = ()
    ingress_rules: tuple[IngressRule, ...] = ()
    gateway_routes: tuple[GatewayRoute, ...] = ()
    settings: Settings | None = None
    """None: this language has no say in them."""
    roots: tuple[RootCertificate, ...] = ()
    """Oldest first."""
    overlays: tuple[Overlay, ...] = ()
    upstream_settings: tuple[UpstreamSetting, ...] = ()
    retries: tuple[Retry, ...] = ()
    findings: tuple[Finding, ...] = ()


def joined(parts: Iterable[Facts]) -> Facts:
    """Facts that say what all the parts say; of settings, the last that are given."""
    whole: dict[str, Any] = {}
    for part in parts:
        for field in fields(Facts):
            said = getattr(part, field.name)
            if isinstance(said, tuple):
                whole[field.name] = whole.get(field.name, ()) + said
            elif said is not None:
                whole[field.name] = said
    return Facts(**whole)


class PolicyLanguage(Protocol):
    """A way of saying who may call whom and where calls go: SMI, OSM's own kinds, one day the Gateway API."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that are its own; what to watch."""
        ...

    @property
    def refers_to(self) -> tuple[Kind, ...]:
        """Kinds of others that its own name; what to watch besides, and to hand over with its own."""
        ...

    def crds(self) -> list[Object]:
        """The CustomResourceDefinitions that make a cluster accept its kinds."""
        ...

    def read(self, objects: Iterable[Object]) -> Facts:
        """The facts that objects of its kinds state; those they refer to are among them.

        An object with an error states nothing, so that a mistake never allows what was not meant.
        """
        ...

    def validate(self, obj: Object, others: Iterable[Object]) -> list[Finding]:
        """What is wrong with one object of its kinds, given the others that exist or will; nothing for other kinds."""
        ...
