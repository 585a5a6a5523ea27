"""A lab on a real kind cluster as somebody at a terminal makes it. These tests are one story, told in the order of the
files: the cluster, a visitor on it, the mesh. `pytest --ground kind` runs them; elsewhere they are not collected.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from meshlab.cluster.kind import KindCluster
from meshlab.lab.kubectl import find_kubectl

ROOT = Path(__file__).parents[2]


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if "kind" in config.getoption("--ground").split(",") else True


class Terminal:
    """meshlab, kubectl and the shell, as they answer somebody who works on the suite's lab."""

    def __init__(self, lab: KindCluster) -> None:
        self.lab = lab
        self.node = f"meshlab-{lab.name}-control-plane"
        self._env = {**os.environ, "MESHLAB_NAME": lab.name, "PYTHONUNBUFFERED": "1"}
        self._env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def meshlab(self, *words: str, env: Mapping[str, str] = {}, code: int = 0) -> str:
        """What the command says; it has to end with this exit status."""
        done = subprocess.run(
            [sys.executable, "-m", "meshlab.cli", *words],
            env={**self._env, **env},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def interrupted(self, after: str, *, when: Callable[[], bool] = lambda: True) -> str:
        """What `meshlab up` says when Ctrl-C comes after it has taken a step, as soon as something holds."""
        up = subprocess.Popen(
            [sys.executable, "-m", "meshlab.cli", "up", "--cluster", "kind"],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert up.stdout
        for line in up.stdout:
            if line.startswith(f"✓ {after}"):
                break
        while not when():
            assert up.poll() is None
        up.send_signal(signal.SIGINT)
        _, said = up.communicate(timeout=60)
        assert up.returncode == 130, said
        assert "Traceback" not in said
        return said

    def shell(self, script: str, env: Mapping[str, str] = {}) -> str:
        """What a script prints; every command of it has to succeed."""
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{script}"],
            cwd=os.environ["MESHLAB_HOME"],
            env={**self._env, **env},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """What kubectl prints of the suite's cluster."""
        command = [str(find_kubectl()), "--kubeconfig", str(self.lab.kubeconfig()), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def docker(self, *words: str) -> str:
        """What docker prints."""
        return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture(scope="session")
def readme() -> Callable[[str], str]:
    """The commands of a section of the README."""
    text = (ROOT / "README.md").read_text()

    def commands(section: str) -> str:
        (block,) = re.findall(rf"^## {section}\n.*?^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        return block

    return commands


@pytest.fixture(scope="session")
def terminal(kind_cluster: KindCluster) -> Terminal:
    return Terminal(kind_cluster)


@pytest.fixture(scope="session")
def bare(kind_cluster: KindCluster, terminal: Terminal) -> Terminal:
    """The cluster with the image in it, and no mesh yet."""
    asyncio.run(kind_cluster.up())
    asyncio.run(kind_cluster.load_image())
    if "meshlab-system" in terminal.kubectl("get", "namespaces"):
        pytest.skip("the mesh is there already: these tests come first")
    return terminal
