"""The examples of docs/explaining.md run as they stand, one after the other."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshlab import manifests
from meshlab.cli.main import main
from meshlab.lab.install import Started
from meshlab.lab.lab import Lab

if TYPE_CHECKING:
    from tests.conftest import RunningLab

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explaining.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_a_folder_can_be_asked_from_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(blocks("sh")[0])
    assert (program, main(words)) == ("meshlab", 1)
    assert capsys.readouterr().out.startswith("✗ bookbuyer/bookbuyer → bookstore/bookstore:14001 GET /books-bought")


@pytest.mark.e2e
def test_the_examples_for_a_notebook_run_on_the_demo(demo: RunningLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    lab = Lab(Started(demo.name, demo.kind, demo.network, demo.image, demo.kubeconfig, ()))
    names = {"lab": lab}
    try:
        shown = [run(block, names) for block in blocks("python")]
    finally:
        for obj in manifests.read("demo/policies"):
            demo.kubectl("delete", obj["kind"], obj["metadata"]["name"], "-n", obj["metadata"]["namespace"])
        lab.close()
    assert "in permissive mode every meshed workload may call" in shown[0]
    assert all(text[0] in "✓✗?0123456789" for text in shown), shown


def run(block: str, names: dict[str, object]) -> str:
    """Run a cell; what its last line shows."""
    *before, last = ast.parse(block).body
    exec(compile(ast.Module(before, []), "cell", "exec"), names)
    assert isinstance(last, ast.Expr | ast.Assign)
    return str(eval(ast.unparse(last.value), names))
