"""A lab on kind, as far as it can be told without Docker: stand-ins for the programs write down how they are called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.embedded.state import Record
from meshlab.cluster.kind import KindCluster
from meshlab.cluster.labs import cluster_of
from meshlab.cluster.place import Place
from meshlab.cluster.programs import run
from meshlab.errors import ClusterError

Program = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def lonely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Put a shell script on the PATH; it first writes its words into a file."""

    def write(name: str, script: str) -> None:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/{name}.calls\n{script}\n')
        path.chmod(0o755)

    return write


def calls(tmp_path: Path, name: str) -> list[str]:
    path = tmp_path / f"{name}.calls"
    return path.read_text().splitlines() if path.exists() else []


async def test_somebody_elses_cluster_of_the_same_name_is_left_alone(tmp_path: Path, program: Program) -> None:
    program("kind", 'case "$1 $2" in "get clusters") echo meshlab-one;; esac')
    with pytest.raises(ClusterError, match=r"ML155.*somebody else"):
        await KindCluster("one").up()
    await KindCluster("one").down()
    assert calls(tmp_path, "kind") == ["get clusters --quiet"]


async def test_a_creation_that_failed_is_begun_anew_by_the_next_up(tmp_path: Path, program: Program) -> None:
    program("docker", "")
    program("kind", 'case "$1 $2" in "create cluster") echo no room on the disk >&2; exit 1;; esac')
    with pytest.raises(ClusterError, match=r"ML156.*no room on the disk"):
        await KindCluster("one").up()
    program("kind", 'case "$1 $2" in "get clusters") echo meshlab-one;; "create cluster") exit 1;; esac')
    with pytest.raises(ClusterError, match=r"ML156"):
        await KindCluster("one").up()
    assert "delete cluster --name meshlab-one" in calls(tmp_path, "kind")


async def test_down_removes_a_half_made_cluster_and_the_network_that_came_with_it(
    tmp_path: Path, program: Program
) -> None:
    program("docker", "")
    program("kind", 'case "$1" in create) exit 1;; esac')
    with pytest.raises(ClusterError):
        await KindCluster("one").up()
    await cluster_of("one").down()
    assert calls(tmp_path, "kind")[-2:] == ["delete cluster --name meshlab-one", "get clusters --quiet"]
    assert calls(tmp_path, "docker")[-1] == "network rm kind"
    assert Place("one").read() is None


async def test_a_network_that_was_there_before_stays(tmp_path: Path, program: Program) -> None:
    program("docker", "echo 0123456789ab")
    program("kind", 'case "$1" in create) exit 1;; esac')
    with pytest.raises(ClusterError):
        await KindCluster("one").up()
    await cluster_of("one").down()
    assert "network rm kind" not in calls(tmp_path, "docker")


async def test_without_kind_the_error_says_so() -> None:
    with pytest.raises(ClusterError, match=r"ML156.*No such file") as raised:
        await KindCluster("one").up()
    assert "meshlab check --cluster kind" in raised.value.hint


def test_a_lab_is_found_where_it_was_started(tmp_path: Path) -> None:
    assert isinstance(cluster_of("one"), EmbeddedCluster)
    Place("one").claim("kind")
    Place("one").remember("kind")
    assert isinstance(cluster_of("one"), KindCluster)
    assert json.loads((tmp_path / "home/labs/one/cluster.json").read_text())["kind"] == "kind"


async def test_a_lab_on_another_kind_of_cluster_is_not_moved(program: Program) -> None:
    state = EmbeddedCluster("one").state
    state.create()
    state.remember(Record(pid=1, started=0, port=1, octet=64, image="meshlab:1"))
    with pytest.raises(ClusterError, match=r"ML159.*embedded"):
        await KindCluster("one").up()


async def test_what_is_cancelled_ends_its_program(tmp_path: Path, program: Program) -> None:
    program("slow", f"echo $$ >{tmp_path}/pid; exec sleep 60")
    waiting = asyncio.create_task(run("slow", code="ML156"))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_a_word_that_is_no_kind_of_cluster_may_have_been_meant_as_a_name() -> None:
    with pytest.raises(ClusterError, match=r"(?s)ML101 'mine'.*name='mine'"):
        cluster_of("one", "mine")
