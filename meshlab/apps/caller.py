"""How does a program call another, and what does it make of a refusal?"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException

from meshlab.apps.server import log

TIMEOUT_SECONDS = 5
_BODY_LIMIT = 200


@dataclass(frozen=True)
class Outcome:
    """How one call ended: a status (0: no answer), the reason when it failed, and the answer's headers."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the call did what was asked."""
        return 200 <= self.status < 400


def call(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Outcome:
    """One HTTP call. Honours `http_proxy`, as every program on a network without interception has to."""
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers))  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            response.read()
            return Outcome(response.status, headers=_lower(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(_BODY_LIMIT).decode(errors="replace").strip()
            return Outcome(error.code, reason=text or error.reason, headers=_lower(error.headers))
    except urllib.error.URLError as error:
        return Outcome(0, reason=str(error.reason))
    except (OSError, HTTPException, ValueError) as error:
        return Outcome(0, reason=str(error) or type(error).__name__)


class Tally:
    """Counts outcomes, remembers the last, and logs a line whenever an outcome differs from the one before."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._statuses: dict[str, int] = {}
        self._last: dict[str, Outcome] = {}
        self._last_time = 0.0
        self._last_what = ""

    def note(self, what: str, outcome: Outcome) -> None:
        """Take note of how a call to `what` ended."""
        with self._lock:
            key = str(outcome.status)
            self._statuses[key] = self._statuses.get(key, 0) + 1
            before = self._last.get(what)
            self._last[what] = outcome
            self._last_what, self._last_time = what, self._clock()
        if before is None or (before.status, before.reason) != (outcome.status, outcome.reason):
            log(f"{what}: {outcome.status or 'no answer'}{f' ({outcome.reason})' if outcome.reason else ''}")

    def reset(self) -> None:
        """Forget the counts."""
        with self._lock:
            self._statuses.clear()

    def summary(self) -> dict[str, object]:
        """For /raw and the page."""
        with self._lock:
            last = self._last.get(self._last_what, Outcome(0))
            return {
                "calls": sum(self._statuses.values()),
                "statuses": dict(sorted(self._statuses.items())),
                "last": {
                    "call": self._last_what,
                    "status": last.status,
                    "ok": last.ok,
                    "reason": last.reason,
                    "time": self._last_time,
                },
            }


def _lower(headers: Message) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}
