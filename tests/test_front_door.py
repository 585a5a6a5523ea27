import subprocess
import sys

import pytest

import meshlab
from meshlab import errors


def packages_loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_meshlab_loads_nothing_heavy() -> None:
    """Every sidecar and demo program imports it."""
    heavy = {"kubernetes", "aiohttp", "pandas", "plotly", "IPython", "grpc", "psutil", "rich"}
    assert not packages_loaded_by("meshlab") & heavy


def test_a_sidecar_and_a_demo_program_stay_small() -> None:
    """One runs in every pod: the Kubernetes client alone would double its memory."""
    for module in ("meshlab.dataplane.envoy.sidecar", "meshlab.apps.bookstore"):
        assert not packages_loaded_by(module) & {"kubernetes", "pydantic", "grpc", "pandas"}, module


def test_every_exported_name_is_there() -> None:
    for name in meshlab.__all__:
        assert getattr(meshlab, name) is not None, name


def test_every_error_is_exported() -> None:
    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert tree <= set(meshlab.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'start'"):
        _ = meshlab.start
