"""The cluster and its image: interrupted, refused, begun again, and in the end there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kind.conftest import Terminal

pytestmark = pytest.mark.e2e

LEFT = "Left: the kind cluster meshlab-e2e"
GOES_ON = "The next up goes on from there; meshlab down --name e2e takes it away."


@pytest.fixture
def no_loading(tmp_path: Path) -> dict[str, str]:
    """An environment whose kind does everything but load images."""
    kind = shutil.which("kind")
    program = tmp_path / "kind"
    program.write_text(
        f'#!/bin/sh\n[ "$1" != load ] || {{ echo no space left on device >&2; exit 1; }}\nexec {kind} "$@"\n'
    )
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{Path(str(shutil.which('docker'))).parent}:/usr/sbin:/usr/bin:/sbin:/bin"}


def test_without_a_daemon_nothing_is_begun(terminal: Terminal) -> None:
    said = terminal.meshlab("up", "--cluster", "kind", env={"DOCKER_HOST": "unix:///nowhere.sock"}, code=1)
    assert "ML151" in said
    assert "start your Docker daemon" in said
    assert "Nothing was left behind." in said


def test_ctrl_c_while_the_cluster_is_made_leaves_half_a_one_and_says_so(terminal: Terminal) -> None:
    said = terminal.interrupted(
        "Check this machine", when=lambda: terminal.node in terminal.docker("ps", "--format", "{{.Names}}")
    )
    assert f"{LEFT}, half made" in said
    assert GOES_ON in said
    assert terminal.node in terminal.docker("ps", "--all", "--format", "{{.Names}}")


def test_a_base_image_that_can_not_be_had_is_named_and_the_cluster_stays(terminal: Terminal) -> None:
    said = terminal.meshlab("up", "--cluster", "kind", env={"MESHLAB_BASE_IMAGE": "localhost:1/nothing"}, code=1)
    assert "ML157 localhost:1/nothing" in said
    assert LEFT in said
    assert "half made" not in said


def test_an_image_that_is_not_loaded_is_named_and_the_cluster_stays(
    terminal: Terminal, no_loading: dict[str, str]
) -> None:
    said = terminal.meshlab("up", "--cluster", "kind", env=no_loading, code=1)
    assert "ML158" in said
    assert "no space left on device" in said
    assert LEFT in said


def test_a_cluster_that_somebody_else_made_is_neither_taken_nor_removed(terminal: Terminal, tmp_path: Path) -> None:
    stranger = {"MESHLAB_HOME": str(tmp_path)}
    said = terminal.meshlab("up", "--cluster", "kind", env=stranger, code=1)
    assert "ML155 kind cluster meshlab-e2e: somebody else made it" in said
    assert "Nothing was left behind." in said
    terminal.meshlab("down", env=stranger)
    assert terminal.node in terminal.docker("ps", "--format", "{{.Names}}")


def test_ctrl_c_while_the_image_is_loaded_keeps_the_cluster_whole(terminal: Terminal) -> None:
    said = terminal.interrupted("Start the cluster")
    assert LEFT in said
    assert "half made" not in said
