"""How much of the machine does something use? What the node measures and the API server tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Usage:
    """Of processor and memory."""

    cores: float
    memory: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was used in the seconds (`window`) before a moment."""

    at: datetime
    window: float
    nodes: Mapping[str, Usage]
    containers: Mapping[tuple[str, str], Usage]
    """By the pod's uid and the container's name; only of those that run."""


class Measure(Protocol):
    """Who can measure the node and its containers."""

    async def read(self) -> Reading:
        """The newest reading; it may take a second to get one."""
