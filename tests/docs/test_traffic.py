"""The examples of docs/traffic.md are sound; tests/story applies them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshlab.policy import languages
from meshlab.policy.lint import lint, written

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "traffic.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_its_examples_are_sound(text):
    assert lint(written(text, "traffic.md"), languages()) == []
