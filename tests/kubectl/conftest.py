"""The suite runs against any cluster: `pytest tests/kubectl --kubeconfig PATH [--pod-image IMAGE]`.

Without the option it runs against the embedded cluster that the tests share. It works in a namespace of its own.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshlab.kube import dump
from meshlab.lab.kubectl import find_kubectl
from meshlab.manifests import read
from meshlab.version import __version__


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kubeconfig", help="run the kubectl suite against this cluster")
    parser.addoption("--pod-image", help="the image of the suite's pods; it needs sh")


@dataclass(frozen=True)
class Kubectl:
    """The real kubectl on one cluster, in one namespace."""

    kubeconfig: Path
    namespace: str
    image: str

    def command(self, *arguments: str) -> list[str]:
        return [str(find_kubectl()), "--kubeconfig", str(self.kubeconfig), "-n", self.namespace, *arguments]

    def __call__(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        """What it prints, on either stream; it has to succeed, or to fail."""
        done = subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout + done.stderr
        assert bool(done.returncode) == fails, f"kubectl {' '.join(arguments)}: {said}"
        return said

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
def kubectl(request: pytest.FixtureRequest, where: str) -> Iterator[Kubectl]:
    """kubectl in a namespace that is made for the suite, and removed at its end."""
    given = request.config.getoption("--kubeconfig", default=None)
    lab = None if given else request.getfixturevalue("cluster")
    kubeconfig = lab.kubeconfig if lab else Path(given)
    image = request.config.getoption("--pod-image", default=None) or (lab.image if lab else f"meshlab:{__version__}")
    kubectl = Kubectl(kubeconfig, f"kubectl-suite-{secrets.token_hex(3)}", image)
    kubectl("create", "namespace", kubectl.namespace)
    yield kubectl
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=60s")


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
