"""Whom does everybody trust, and who signs? One value for the whole mesh, and how it moves to another safely.

A root is replaced while calls go on, in three steps, and each waits until everybody has taken the one before:

    trust the new root, too  →  let it sign  →  trust the old one no more

So whoever meets has at every moment a certificate that the other's roots prove.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from meshlab.errors import IdentityError
from meshlab.identity.authority import Authority


@dataclass(frozen=True)
class Trust:
    """The authorities that are trusted; one of them signs."""

    signer: Authority
    trusted: tuple[Authority, ...]

    @classmethod
    def in_one(cls, authority: Authority) -> Self:
        """The trust of a mesh that has one authority."""
        return cls(authority, (authority,))

    @cached_property
    def bundle(self) -> bytes:
        """Every root to be trusted, PEM, each once."""
        return "".join(dict.fromkeys(authority.roots for authority in self.trusted)).encode()

    @cached_property
    def version(self) -> str:
        """One word for all of it: who holds it trusts these roots, and shows a certificate of this signer."""
        ids = (self.signer.id, *sorted(authority.id for authority in self.trusted))
        return hashlib.sha256(" ".join(ids).encode()).hexdigest()[:12]

    @property
    def trust_domain(self) -> str:
        """The same for all: an identity is not another's when its root changes."""
        return self.signer.trust_domain

    def find(self, name: str) -> Authority | None:
        """The authority that people call so."""
        return next((authority for authority in self.trusted if authority.name == name), None)

    def to_json(self) -> bytes:
        """What `from_json` reads; it holds keys."""
        return json.dumps(
            {"signer": self.signer.id, "trusted": [authority.to_json() for authority in self.trusted]}
        ).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read it back. Raises IdentityError ML402."""
        try:
            said = json.loads(body)
            trusted = tuple(Authority.from_json(authority) for authority in said["trusted"])
            return cls(next(authority for authority in trusted if authority.id == said["signer"]), trusted)
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise IdentityError("ML402", f"what the mesh trusts can't be read: {error!r}") from error


def advance(now: Trust, wanted: Trust, *, settled: bool) -> Trust:
    """The next step from one trust to another; `settled`: everybody is known to hold all of `now`.

    To trust more is safe at any time. A certificate is shown when all trust its root, and a root is dropped when
    nobody shows a certificate of it.
    """
    missing = tuple(authority for authority in wanted.trusted if authority not in now.trusted)
    if missing:
        return replace(now, trusted=(*now.trusted, *missing))
    if not settled:
        return now
    if now.signer != wanted.signer:
        return replace(now, signer=wanted.signer)
    return wanted
