"""A namespace of the mesh with pods that try to go round it. Needs a network where the kernel redirects."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunningLab

MESHED, OUTSIDE = "interception", "outside"
LIMIT_SECONDS = 90

_GET = """
import http.client, sys
try:
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5)
    connection.request("GET", sys.argv[3], headers={"user-agent": "a-client-of-its-own/1"})
    answer = connection.getresponse()
    print(answer.status, answer.headers.get("identity", ""))
except OSError as error:
    print(type(error).__name__)
except http.client.HTTPException as error:
    print(type(error).__name__)
"""


@dataclass(frozen=True)
class Ground:
    """The lab, with the verbs of these tests."""

    lab: RunningLab

    def get(self, caller: str, host: str, port: int, path: str = "/books-bought") -> str:
        """What a plain HTTP client in a pod (``namespace/pod``) gets: a status and who answered, or an error's name.

        It looks at no proxy variable.
        """
        namespace, _, pod = caller.partition("/")
        command = ("python", "-c", _GET, host, str(port), path)
        return self.lab.kubectl("exec", "-n", namespace, pod, "-c", "app", "--", *command).strip()

    def field(self, of: str, path: str, namespace: str = MESHED) -> str:
        return self.lab.kubectl("get", of, "-n", namespace, "-o", f"jsonpath={path}")

    def settings(self, **traffic: Any) -> None:
        """Change MeshConfig, and wait until it holds: the generation that proxies are told is the answer's."""
        patch = json.dumps({"spec": {"traffic": traffic}})
        self.lab.kubectl(
            "patch", "meshconfig", "meshlab-mesh-config", "-n", "meshlab-system", "--type=merge", "-p", patch
        )

    def becomes(self, caller: str, host: str, port: int, expected: str) -> None:
        """The client gets an answer that begins so, at once or as soon as proxies have heard."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while not (found := self.get(caller, host, port)).startswith(expected):
            assert time.monotonic() < deadline, f"{caller} to {host}:{port}: {found}, not {expected}"


@pytest.fixture(scope="session")
def interception(demo: RunningLab) -> Iterator[Ground]:
    """The pods of ``pods.yaml``, ready, in permissive mode."""
    if demo.network == "loopback":
        pytest.skip("on loopback addresses nothing is redirected: the mesh is cooperative there, and says so")
    ground = Ground(demo)
    text = (Path(__file__).parent / "pods.yaml").read_text().replace("meshlab:latest", demo.image)
    ground.settings(enablePermissiveTrafficPolicyMode=True, enableEgress=False)
    try:
        demo.kubectl("apply", "-f", "-", stdin=text)
        for namespace in (MESHED, OUTSIDE):
            demo.kubectl("wait", "pods", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=90s")
        demo.kubectl("rollout", "status", "statefulset/shelf", "-n", MESHED, "--timeout=90s")
        yield ground
    finally:
        ground.settings(enablePermissiveTrafficPolicyMode=True, enableEgress=False)
        demo.kubectl("delete", "namespace", MESHED, OUTSIDE, "--wait=false")
