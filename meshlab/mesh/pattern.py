r"""Does this text match this pattern, in full, as the proxies judge it?

Envoy matches with RE2, so the same engine answers here: Python's `re` differs in what it accepts (lookarounds,
backreferences) and in what some patterns mean (``\s``, ``\Z``, ``$`` before a newline).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
"""Envoy matches byte by byte, so a letter beyond ASCII is several characters."""
_OPTIONS.max_mem = 1 << 20
"""An eighth of what Envoy grants: every proxy compiles every pattern, so a huge one is refused here."""
_LONGEST = 4096

_SIGNS = frozenset("\\.+*?()|[]{}^$")
"""The characters that mean more than themselves."""

_UNKNOWN_TO_RE2 = {
    "(?=": "lookahead (?=…) is not available",
    "(?!": "negative lookahead (?!…) is not available; write a second match for what is allowed",
    "(?<": "lookbehind (?<…) is not available",
}


@lru_cache(4096)
def full_match(pattern: str, text: str) -> bool:
    """Whether the whole text matches. A pattern that RE2 refuses matches nothing."""
    return problem(pattern) is None and _compile(pattern).fullmatch(text.encode()) is not None


def literal(text: str) -> str:
    """The pattern that matches this text and nothing else."""
    return "".join(f"\\{sign}" if sign in _SIGNS else sign for sign in text)


def problem(pattern: str) -> str | None:
    """Why RE2 refuses the pattern, in words for a person; None when it is fine."""
    if not pattern:
        return "it is empty; leave the field out where anything will do"
    if len(pattern) > _LONGEST:
        return f"it has {len(pattern)} characters, more than {_LONGEST}"
    reason = _refusal(pattern)
    if reason is None:
        return None
    known = next((words for part, words in _UNKNOWN_TO_RE2.items() if part in reason), None)
    return f"{known} ({reason})" if known else reason


@lru_cache(16384)
def _refusal(pattern: str) -> str | None:
    """RE2's own words. Remembered for many patterns, since policies are checked anew at every change."""
    try:
        _compile(pattern)
    except UnicodeEncodeError:
        return "it has a character that no text can hold"
    except re2.error as error:
        (reason,) = error.args
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return None


@lru_cache(256)
def _compile(pattern: str) -> Any:
    """The compiled pattern; few are kept, for each may take a megabyte."""
    return re2.compile(pattern.encode(), _OPTIONS)
