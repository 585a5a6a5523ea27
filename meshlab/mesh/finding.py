"""What is wrong with what a person wrote, where exactly, and what would cure it?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error refuses the object; a warning lets it in and says what to expect."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One remark about one field of one object. `code` is a row of codes.toml (ML2xx)."""

    code: str
    about: str
    """``TrafficSplit bookstore/bookstore``"""
    field: str
    """``spec.backends[1].weight``"""
    what: str
    cure: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.code} {self.about}: {self.field}: {self.what}. Hint: {self.cure}"
