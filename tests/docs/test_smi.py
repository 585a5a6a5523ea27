"""What docs/smi.md says is tested, listed in full, and runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshlab.errors import codes
from meshlab.policy import languages
from meshlab.policy.lint import lint, written

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "smi.md").read_text()
RULES = [*(f"A{n}" for n in range(1, 15)), *(f"H{n}" for n in range(1, 11)), *(f"S{n}" for n in range(1, 18))]


def test_every_rule_is_told_and_has_a_test_of_its_name():
    assert re.findall(r"^\| ([AHS]\d+) \|", TEXT, re.MULTILINE) == RULES
    tests = "\n".join(file.read_text() for file in (ROOT / "tests" / "smi").glob("test_*.py"))
    assert [rule for rule in RULES if f"def test_{rule.lower()}_" not in tests] == []


def test_every_finding_about_smi_is_listed():
    source = [*(ROOT / "meshlab" / "policy" / "smi").glob("*.py"), ROOT / "meshlab" / "policy" / "lint.py"]
    source.append(ROOT / "meshlab" / "policy" / "schema.py")
    found = {
        (code, kind) for file in source for kind, code in re.findall(r"(error|warning)\(\s*\"(ML\d+)", file.read_text())
    }
    assert set(re.findall(r"^\| (ML\d+) \| (error|warning) \|", TEXT, re.MULTILINE)) == found
    assert {code for code, _ in found} <= set(codes())


@pytest.mark.parametrize("text", re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
def test_its_examples_are_sound(text):
    assert lint(written(text, "smi.md"), languages()) == []


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", TEXT))
def test_what_it_links_to_exists(target):
    assert (ROOT / "docs" / target).is_file()


@pytest.mark.e2e
def test_its_questions_to_the_metrics_api_are_answered(demo):
    paths = re.findall(r"^kubectl get --raw '?([^'\n]+)'?$", TEXT, re.MULTILINE)
    assert len(paths) == 5
    for path in paths:
        assert '"TrafficMetrics' in demo.kubectl("get", "--raw", path)
