"""Can a lab on kind run on this machine? The same kind of checks as for the embedded cluster, each with its cure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshlab.cluster.place import Place
from meshlab.errors import ClusterError
from meshlab.lab.kubectl import find_kubectl
from meshlab.lab.preflight import Check, attempt

_MEMORY_BYTES = 3 << 30
_DISK_BYTES = 4 << 30
_SECONDS = 30
_INSTALL_DOCKER = (
    "install Docker Engine or Docker Desktop (docs.docker.com/engine/install); on Debian: apt install docker.io"
)
_INSTALL_KIND = (
    "install kind 0.30 or newer (kind.sigs.k8s.io): go install sigs.k8s.io/kind@v0.30.0, or brew install kind"
)
_START_DOCKER = (
    "start your Docker daemon: open Docker Desktop, or sudo systemctl start docker; or join the group docker"
)


def checks(lab: str = "default") -> Iterator[Check]:
    """Every check, one after the other; what needs the daemon is asked only if it answers."""
    yield attempt("the docker client is installed", lambda: _program("docker", "ML150", _INSTALL_DOCKER))
    engine: dict[str, Any] = {}
    answers = attempt("the Docker daemon answers", lambda: _engine(engine))
    yield answers
    yield attempt("kind is installed", _kind)
    yield attempt("kubectl is installed", lambda: str(find_kubectl()))
    if answers.passed:
        yield attempt("kind knows the daemon's control groups", lambda: _cgroups(engine))
        yield attempt("there is memory for a cluster", lambda: _memory(engine), needed=False)
        yield attempt("there is room for its images", lambda: _disk(engine), needed=False)
    yield attempt("the lab is on no other cluster", lambda: _place(lab))


def _program(name: str, code: str, hint: str) -> str:
    found = shutil.which(name)
    if not found:
        raise ClusterError(code, f"{name} is not on the PATH", hint=hint)
    return found


def _engine(found: dict[str, Any]) -> str:
    said = _say("ML151", _START_DOCKER, "docker", "info", "--format", "{{json .}}")
    found.update(json.loads(said))
    if errors := found.get("ServerErrors"):
        raise ClusterError("ML151", "; ".join(errors), hint=_START_DOCKER)
    return f"version {found['ServerVersion']}"


def _kind() -> str:
    _program("kind", "ML152", _INSTALL_KIND)
    return _say("ML152", _INSTALL_KIND, "kind", "version", "--quiet").strip()


def _cgroups(engine: dict[str, Any]) -> str:
    version = str(engine.get("CgroupVersion", ""))
    if version not in {"1", "2"}:
        hint = "use an engine with control groups of version 2: any distribution of 2022 or newer"
        raise ClusterError("ML153", f"the daemon has control groups {version or 'of no version'}", hint=hint)
    return f"version {version}"


def _memory(engine: dict[str, Any]) -> str:
    total = int(engine.get("MemTotal", 0))
    if total < _MEMORY_BYTES:
        hint = "give Docker more memory (Docker Desktop: Settings, Resources), or use the embedded cluster: meshlab up"
        raise ClusterError("ML125", f"the daemon has {total >> 20} MB, 3072 are wanted", hint=hint)
    return f"{total >> 20} MB"


def _disk(engine: dict[str, Any]) -> str:
    root = Path(engine.get("DockerRootDir", ""))
    if not os.access(root, os.X_OK):  # in a virtual machine, or root's alone
        return "not to be seen from here"
    free = shutil.disk_usage(root).free
    if free < _DISK_BYTES:
        raise ClusterError(
            "ML112", f"{free >> 20} MB are free, 4096 are wanted", about=str(root), hint="docker system prune"
        )
    return f"{free >> 20} MB free"


def _place(lab: str) -> str:
    Place(lab).claim("kind")
    return lab


def _say(code: str, hint: str, *command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise ClusterError(code, str(error), hint=hint) from error
    if done.returncode:
        raise ClusterError(code, (done.stderr or done.stdout).strip() or f"exit status {done.returncode}", hint=hint)
    return done.stdout
