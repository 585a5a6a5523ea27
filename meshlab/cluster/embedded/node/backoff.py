"""How long does a failed container wait before it is started again?"""

from __future__ import annotations

_DELAYS = (0, 10, 20, 40, 80, 160, 300)
_FORGIVEN_AFTER_SECONDS = 600


class BackOff:
    """The kubelet's numbers: at once, then 10 s, doubling up to 5 minutes; 10 minutes of running make it forget."""

    def __init__(self) -> None:
        self._failures = 0

    def next(self, ran_for: float = 0.0) -> int:
        """Seconds to wait after one more end, of an instance that ran that long."""
        if ran_for >= _FORGIVEN_AFTER_SECONDS:
            self._failures = 0
        delay = _DELAYS[min(self._failures, len(_DELAYS) - 1)]
        self._failures += 1
        return delay
