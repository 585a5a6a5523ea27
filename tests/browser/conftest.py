"""JupyterLab on the demo's mesh, and a browser on it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab_page import JupyterLab, LabPage, open_browser

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
Open = Callable[..., AbstractContextManager[LabPage]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, help="take the pictures anew, into this folder")


@pytest.fixture(scope="session")
def jupyter(demo, chromium, tmp_path_factory) -> Iterator[JupyterLab]:
    """A JupyterLab whose notebooks are a copy of the course's."""
    home = tmp_path_factory.mktemp("jupyter")
    notebooks = home / "notebooks"
    shutil.copytree(NOTEBOOKS, notebooks, ignore=shutil.ignore_patterns(".*"))
    lab = JupyterLab(home, notebooks, {"MESHLAB_NAME": demo.name, "MESHLAB_HOME": os.environ["MESHLAB_HOME"]})
    yield lab
    lab.stop()


@pytest.fixture
def browse(jupyter, chromium) -> Open:
    """`with browse("02-shifting-traffic.ipynb") as page`: opened, not yet run. Nothing may leave the machine."""

    @contextmanager
    def open_page(notebook: str, scheme: str = "light", size: tuple[int, int] = (1360, 900)) -> Iterator[LabPage]:
        with open_browser(jupyter, chromium, scheme, size) as page:
            page.open(notebook)
            yield page
            assert page.outside == []
            jupyter.end_kernels()

    return open_page


@pytest.fixture(scope="session")
def screenshots(request) -> Path:
    """The folder for the pictures. Taking them checks nothing, so it is done on demand."""
    folder = request.config.getoption("--screenshots", default=None)
    return folder or pytest.skip("`make screenshots` takes the pictures")
