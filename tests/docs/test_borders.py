"""The examples of docs/borders.md are sound; tests/interception applies their like to a real mesh."""

from __future__ import annotations

import re
from pathlib import Path

from meshlab.policy import languages
from meshlab.policy.lint import lint, written

TEXT = (Path(__file__).parents[2] / "docs" / "borders.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_its_examples_are_sound():
    assert lint(written("---\n".join(EXAMPLES), "borders.md"), languages()) == []
