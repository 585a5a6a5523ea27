"""What is missing for a lab on kind is named, with its cure. Stand-ins for docker and kind say what those would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshlab.lab.preflight import Check
from meshlab.lab.preflight_kind import checks

ENGINE = {"ServerVersion": "28.2.2", "CgroupVersion": "2", "MemTotal": 8 << 30, "DockerRootDir": "/"}
NO_DAEMON = {"ServerErrors": ["Cannot connect to the Docker daemon at unix:///var/run/docker.sock."]}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but a kubectl; the folder to put programs into."""
    monkeypatch.setenv("MESHLAB_HOME", str(tmp_path / "home"))
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    install(folder, "kubectl", "")
    return folder


def install(folder: Path, name: str, says: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{says}\nEND\n")
    (folder / name).chmod(0o755)


def failures() -> dict[str, Check]:
    return {check.error.code: check for check in checks("one") if check.error}


def test_a_machine_that_has_everything_passes(machine: Path) -> None:
    install(machine, "docker", json.dumps(ENGINE))
    install(machine, "kind", "0.30.0")
    assert failures() == {}


def test_without_docker_and_kind_both_are_named() -> None:
    found = failures()
    assert set(found) == {"ML150", "ML151", "ML152"}
    assert all(check.needed for check in found.values())
    assert "docker.io" in str(found["ML150"])
    assert "go install sigs.k8s.io/kind" in str(found["ML152"])


def test_a_daemon_that_does_not_run_is_told_from_one_that_is_not_installed(machine: Path) -> None:
    install(machine, "docker", json.dumps(NO_DAEMON))
    install(machine, "kind", "0.30.0")
    (check,) = failures().values()
    assert "Cannot connect" in str(check)
    assert "start your Docker daemon: open Docker Desktop, or sudo systemctl start docker" in str(check)


@pytest.mark.parametrize(
    ("change", "code", "needed"),
    [({"CgroupVersion": ""}, "ML153", True), ({"MemTotal": 1 << 30}, "ML125", False)],
)
def test_what_the_daemon_lacks_is_named(machine: Path, change: dict[str, object], code: str, needed: bool) -> None:
    install(machine, "docker", json.dumps({**ENGINE, **change}))
    install(machine, "kind", "0.30.0")
    assert {found: check.needed for found, check in failures().items()} == {code: needed}
