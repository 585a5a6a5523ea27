"""The README can't lie: its commands run, its table lists what there is, its links and pictures exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meshlab.cli.main import parser
from meshlab.errors import codes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PERMISSIVE = '{"spec":{"traffic":{"enablePermissiveTrafficPolicyMode":true}}}'


def blocks(language: str, section: str = "") -> list[str]:
    """The fenced blocks of a language, of all sections or of one."""
    _, _, text = README.partition(f"\n## {section}\n") if section else ("", "", README)
    text, _, _ = text.partition("\n## ") if section else (text, "", "")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([\w-]+)", "\n".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_table_of_commands_lists_every_verb_and_no_other():
    verbs = next(action for action in parser()._actions if action.dest == "==SUPPRESS==" and action.choices)
    assert set(re.findall(r"^\| `meshlab ([\w-]+)", README, re.MULTILINE)) == set(verbs.choices)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_what_the_readme_links_to_exists(target):
    assert (ROOT / target).is_file()


def test_every_code_of_the_table_has_a_meaning_and_a_cure():
    assert all(code.title and code.why and code.cure for code in codes().values())


@pytest.mark.e2e
@pytest.mark.kubectl
def test_the_shell_commands_of_the_tour_run_as_they_stand(demo, tmp_path):
    tour = [block for block in blocks("sh", "A tour in five minutes") if "kubectl" in block]
    assert tour
    script = "\n".join(["set -eu", *tour]).replace('"$PWD/.venv/bin', f'"{Path(sys.executable).parent}')
    script = script.replace("meshlab kubeconfig", f"meshlab kubeconfig --name {demo.name}")
    try:
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "bookbuyer" in done.stdout
    finally:
        demo.kubectl(
            *("patch", "meshconfig", "meshlab-mesh-config", "-n", "meshlab-system", "--type", "merge", "-p", PERMISSIVE)
        )


@pytest.mark.e2e
def test_the_cells_of_the_tour_run_as_they_stand(demo, tmp_path):
    (python,) = blocks("python")
    (smi,) = blocks("text")
    cells = [python.replace("meshlab.up()", f"meshlab.up(name={demo.name!r})"), smi]
    program = "\n".join(
        [
            "from IPython.core.interactiveshell import InteractiveShell",
            "shell = InteractiveShell.instance()",
            *(f"shell.run_cell({cell!r}).raise_error()" for cell in cells),
        ]
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        weights = "jsonpath={.spec.backends[*].weight}"
        assert demo.kubectl("get", "trafficsplit", "-n", "bookstore", "bookstore", "-o", weights) == "90 10"
    finally:
        demo.kubectl("delete", "trafficsplit", "-n", "bookstore", "--all")
