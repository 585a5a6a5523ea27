"""Which calls that failed does a client's proxy make again?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from meshlab.mesh.identity import Identity
from meshlab.mesh.service import ServiceName


@dataclass(frozen=True, slots=True, order=True)
class RetryPolicy:
    """When to try again, how often, and how patiently."""

    on: tuple[str, ...]
    """What counts as a failure: ``5xx``, ``reset``, a status… in the words of OSM, which are Envoy's."""
    attempts: int = 1
    """Retries after the first try."""
    per_try_timeout: timedelta = timedelta()
    """How long one try may take; zero: as long as it takes."""
    base_interval: timedelta = timedelta(milliseconds=25)
    """The pause before a retry is random, up to this much, and doubles up to ten times of it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """One Retry: how calls of these clients to these Services are made again."""

    name: str
    """``namespace/name`` of the Retry."""
    source: Identity
    destinations: tuple[ServiceName, ...]
    policy: RetryPolicy
