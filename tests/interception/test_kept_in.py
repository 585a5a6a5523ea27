"""Where pods have namespaces of their own, an app has no means to leave them, whatever it tries."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import yaml

if TYPE_CHECKING:
    from tests.interception.conftest import Ground

pytestmark = pytest.mark.e2e

ESCAPE = (Path(__file__).parent / "escape.py").read_text()


@pytest.fixture(scope="module")
def inside(interception: Ground) -> Ground:
    if interception.lab.network != "namespaces":
        pytest.skip("what a container may do is kind's affair")
    return interception


def test_an_app_finds_no_way_round_its_proxy(inside: Ground) -> None:
    labs = Path(os.environ["MESHLAB_HOME"]) / "labs"
    command = ("python", "-c", ESCAPE, str(labs), inside.lab.name)
    ended = json.loads(inside.lab.kubectl("exec", "-n", "interception", "client", "-c", "app", "--", *command))
    assert set(ended.values()) <= {"EPERM", "EACCES", "ENOENT", "EADDRNOTAVAIL"}, ended
    assert len(ended) == 10


def test_it_has_no_capability_and_can_get_none(inside: Ground) -> None:
    said = inside.lab.kubectl("exec", "-n", "interception", "client", "-c", "app", "--", "cat", "/proc/self/status")
    state = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert {int(state[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert state["NoNewPrivs"] == "1"


def test_nothing_of_the_machines_own_network_is_there(inside: Ground) -> None:
    def app(*command: str) -> str:
        return inside.lab.kubectl("exec", "-n", "interception", "client", "-c", "app", "--", *command).strip()

    assert app("hostname") == "client"
    api = urlsplit(yaml.safe_load(inside.lab.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
    assert inside.get("outside/stranger", "127.0.0.1", api.port or 0) == "ConnectionRefusedError"
    assert inside.get("outside/stranger", "192.0.2.1", 80) == "OSError", "no way out, and that is said at once"
