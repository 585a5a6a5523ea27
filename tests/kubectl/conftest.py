"""The suite runs against any cluster: `pytest tests/kubectl --kubeconfig PATH [--pod-image IMAGE]`.

Without the option it runs against the embedded cluster that the tests share. It works in a namespace of its own.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshlab.kube import dump
from meshlab.lab.kubectl import find_kubectl
from meshlab.manifests import read

from .terminals import Terminal

if TYPE_CHECKING:
    from tests.conftest import RunningLab


@dataclass(frozen=True)
class Kubectl:
    """The real kubectl on one cluster, in one namespace."""

    kubeconfig: Path
    namespace: str
    image: str

    def command(self, *arguments: str) -> list[str]:
        return [str(find_kubectl()), "--kubeconfig", str(self.kubeconfig), "-n", self.namespace, *arguments]

    def __call__(self, *arguments: str, stdin: str = "", fails: bool | None = False) -> str:
        """What it prints, on either stream; it has to succeed, or to fail; None: whichever."""
        done = subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout + done.stderr
        assert fails is None or bool(done.returncode) == fails, f"kubectl {' '.join(arguments)}: {said}"
        return said

    def apply(self, kind: str, name: str, spec: Any, api_version: str = "v1") -> None:
        """Create an object, or change it."""
        obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self("apply", "-f", "-", stdin=dump(obj))

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run it to its end, whatever that is."""
        return subprocess.run(self.command(*arguments), input=stdin, capture_output=True, timeout=120, check=False)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """kubectl in the background, its output to be read."""
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def deployment(self, name: str, replicas: int = 1, script: str = "sleep 3600") -> str:
        """A Deployment that runs a shell script, as YAML."""
        container = {"name": "main", "image": self.image, "command": ["sh", "-c", script]}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
        return dump(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": name}},
                    "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
                },
            }
        )


@pytest.fixture(scope="session")
def kubectl(cluster: RunningLab) -> Iterator[Kubectl]:
    """kubectl in a namespace that is made for the suite, and removed at its end."""
    kubectl = Kubectl(cluster.kubeconfig, f"kubectl-suite-{secrets.token_hex(3)}", cluster.image)
    kubectl("create", "namespace", kubectl.namespace)
    yield kubectl
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


@pytest.fixture(scope="session")
def busy(kubectl: Kubectl) -> str:
    """The name of a Deployment and Service whose one pod has something to get into.

    Its containers: `server` answers at two ports, `reader` says what it reads, `screen` is a shell on a terminal.
    """
    work = {"volumeMounts": [{"name": "work", "mountPath": "/mnt"}], "workingDir": "/mnt"}
    reader = ["sh", "-c", 'while read line; do echo "got $line"; done; sleep 3600']
    containers = [
        {
            "name": "server",
            "command": ["python", "-c", SERVER],
            "readinessProbe": {"tcpSocket": {"port": 8081}, "periodSeconds": 1},
            **work,
        },
        {"name": "reader", "command": reader, "stdin": True},
        {"name": "screen", "command": ["sh"], "stdin": True, "tty": True},
    ]
    spec = {
        "containers": [{"image": kubectl.image, **container} for container in containers],
        "volumes": [{"name": "work", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 1,
    }
    labels = {"app": "busy"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    kubectl.apply("Deployment", "busy", {"selector": {"matchLabels": labels}, "template": template}, "apps/v1")
    kubectl.apply("Service", "busy", {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]})
    kubectl("rollout", "status", "deployment/busy", "--timeout=60s")
    return "busy"


SERVER = """
import asyncio, os, sys
async def upper(reader, writer):  # each line in capitals, and a farewell when the client has said all
    async for line in reader:
        writer.write(line.upper())
        await writer.drain()
    writer.write(b"BYE")
    writer.close()
async def flood(reader, writer):  # so many bytes as the first line asks for
    left = int(await reader.readline())
    while left:
        writer.write(bytes(min(left, 65536)))
        left -= min(left, 65536)
        await writer.drain()
    writer.close()
async def main():
    where = os.environ.get("BIND_ADDRESS", "0.0.0.0")
    await asyncio.start_server(upper, where, 8080)
    await asyncio.start_server(flood, where, 8081)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
def terminal(kubectl: Kubectl) -> Iterator[Callable[..., Terminal]]:
    """Runs kubectl on a terminal."""
    opened: list[Terminal] = []

    def run(*arguments: str) -> Terminal:
        opened.append(Terminal(kubectl.command(*arguments)))
        return opened[-1]

    yield run
    for one in opened:
        one.close()


@pytest.fixture
def pod(kubectl: Kubectl, busy: str) -> str:
    """The name of the busy Deployment's pod."""
    return kubectl("get", "pods", "-l", f"app={busy}", "-o", "jsonpath={.items[0].metadata.name}")


@pytest.fixture(scope="session")
def traffic_splits(kubectl: Kubectl) -> Iterator[None]:
    """The kind TrafficSplit is served; its definition is removed again if the suite brought it."""
    split = next(crd for crd in read("crds") if crd["spec"]["names"]["kind"] == "TrafficSplit")
    name = split["metadata"]["name"]
    known = name in kubectl("get", "crd", "-o", "name")
    if not known:
        kubectl("apply", "-f", "-", stdin=dump(split))
        kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=10s")
    yield
    if not known:
        kubectl("delete", "crd", name, "--timeout=30s")
