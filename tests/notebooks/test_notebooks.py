"""Every notebook of the course runs top to bottom on a fresh mesh, and its checks pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from meshlab import __version__

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST_CELL_LINES = 5


def outputs(notebook: Any) -> list[str]:
    """The text of every output."""
    found = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in found]


@pytest.mark.e2e
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_top_to_bottom_and_its_checks_pass(path, demo, monkeypatch) -> None:
    monkeypatch.setenv("MESHLAB_NAME", demo.name)
    notebook = nbformat.read(path, as_version=4)

    client = NotebookClient(
        notebook, timeout=150, resources={"metadata": {"path": str(FOLDER)}}, store_widget_state=False
    )
    client.execute()
    said = "\n".join(outputs(notebook))
    checks = [cell.source for cell in notebook.cells if cell.source.startswith("await lab.check")]
    assert said.count("✓ ") >= len(checks) > 0
    assert "✗" not in said
    assert "Error" not in said


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count] == []
    assert "widgets" not in notebook.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short(path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.source.startswith("%%smi")]
    assert [cell.id for cell in code if len(cell.source.splitlines()) > LONGEST_CELL_LINES] == []


def test_the_notebooks_pods_use_this_version_of_the_image() -> None:
    images = {line.split()[-1] for line in (FOLDER / "two-services.yaml").read_text().splitlines() if "image:" in line}
    assert images == {f"meshlab:{__version__}"}
