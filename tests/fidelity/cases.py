"""The cases, as the files of `cases/` have them, and the differences that are known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from .steps import Step

_FILES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
_DIFFERENCES = Path(__file__).parents[2] / "docs" / "api-differences.yaml"


@dataclass(frozen=True)
class Case:
    """A few requests, one after another. Its file is its subject, its title a claim."""

    subject: str
    title: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{self.subject}: {self.title}"


def _cases() -> list[Case]:
    found = []
    for file in _FILES:
        for title, steps in yaml.safe_load(file.read_text()).items():
            if title != "_":
                found.append(Case(file.stem, title, tuple(map(Step.read, steps))))
    return found


def _listed() -> dict[str, set[str]]:
    """By case: the places where its answers are known to differ."""
    found: dict[str, set[str]] = {}
    for row in _ROWS:
        for case, places in row.get("cases", {}).items():
            found.setdefault(case, set()).update(places)
    return found


_ROWS = yaml.safe_load(_DIFFERENCES.read_text())
CASES = _cases()
LISTED = _listed()
EVERYWHERE = [re.compile(row["everywhere"]) for row in _ROWS if "everywhere" in row]
