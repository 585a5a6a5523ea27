"""The mesh on the lab's own cluster: interrupted at every step, and finished by the next `up`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunningLab
    from tests.kind.conftest import Terminal

pytestmark = pytest.mark.e2e

STEPS = ("Give it the image", "Teach it the mesh's kinds", "Start the control plane")


@pytest.mark.parametrize("after", STEPS)
def test_ctrl_c_at_any_step_keeps_what_there_is_and_says_so(terminal: Terminal, after: str) -> None:
    said = terminal.interrupted(after)
    assert "Left: the kind cluster meshlab-e2e" in said
    assert "half made" not in said


def test_the_readmes_commands_run_as_they_stand(terminal: Terminal, readme: Callable[[str], str]) -> None:
    *commands, last = readme("On kind").splitlines()
    assert last.startswith("meshlab down "), "which comes when the last test is done"
    assert "bookthief" in terminal.shell("\n".join(commands))


def test_another_up_changes_nothing(terminal: Terminal, on_kind: RunningLab) -> None:
    pods = on_kind.kubectl("get", "pods", "-A", "-o", "name")
    terminal.meshlab("up")
    assert on_kind.kubectl("get", "pods", "-A", "-o", "name") == pods


def test_status_tells_where_the_lab_is_and_that_all_is_well(terminal: Terminal, on_kind: RunningLab) -> None:
    found = json.loads(terminal.meshlab("status", "-o", "json"))
    assert (found["cluster"], found["network"], found["image"]) == ("kind", "redirect", on_kind.image)
    assert found["healthy"], found["health"]


def test_the_control_plane_may_do_no_more_than_its_work(on_kind: RunningLab) -> None:
    me = ("--as", "system:serviceaccount:meshlab-system:meshlab-controller")
    for verb, what in (("get", "secrets"), ("create", "pods"), ("delete", "deployments"), ("create", "pods/exec")):
        assert on_kind.kubectl("auth", "can-i", verb, what, "-n", "kube-system", *me, check=False).strip() == "no"
