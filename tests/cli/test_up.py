"""The commands, on a lab that runs."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from meshlab.cluster.embedded import EmbeddedCluster

pytestmark = pytest.mark.e2e


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meshlab.cli", *arguments], capture_output=True, text=True, timeout=240, check=False
    )


def test_a_second_up_takes_every_step_again_and_changes_nothing(mesh) -> None:
    pods = mesh.kubectl("get", "pods", "-A", "-o", "name")
    done = run("up", "--no-demo", "--name", mesh.name)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" (")[0] for line in lines[:5]] == [
        "✓ Check this machine",
        "✓ Start the cluster",
        "✓ Give it the image",
        "✓ Teach it the mesh's kinds",
        "✓ Start the control plane",
    ]
    assert all(re.search(r" \d+\.\d s$", line) for line in lines[:5])
    assert mesh.kubectl("get", "pods", "-A", "-o", "name") == pods


def test_what_a_learner_changed_stays_changed_after_another_up(mesh) -> None:
    strict = '{"spec": {"traffic": {"enablePermissiveTrafficPolicyMode": false}}}'
    path = ("-n", "meshlab-system", "meshconfig/meshlab-mesh-config")
    mesh.kubectl("patch", *path, "--type=merge", "-p", strict)
    try:
        assert run("up", "--no-demo", "--name", mesh.name).returncode == 0
        assert json.loads(run("status", "--name", mesh.name, "-o", "json").stdout)["mode"] == "strict"
    finally:
        mesh.kubectl("patch", *path, "--type=merge", "-p", strict.replace("false", "true"))


def test_the_root_is_replaced_step_by_step(mesh) -> None:
    done = run("rotate-root", "--name", mesh.name)
    assert done.returncode == 0, done.stderr
    *steps, last = done.stdout.splitlines()
    found = re.fullmatch(r"(\S+) \(serial [0-9a-f]+\) has replaced (\S+)", last)
    assert found, last
    new, old = found.groups()
    assert [line.split(" (")[0] for line in steps] == [
        f"✓ Trust {new}, too",
        f"✓ Let {new} sign",
        f"✓ Trust {old} no more",
        f"✓ Take {old} away",
    ]
    assert mesh.kubectl("get", "mrc", "-n", "meshlab-system", "-o", "name").split() == [
        f"meshrootcertificate.config.openservicemesh.io/{new}"
    ]
    assert f"root {new} until" in run("status", "--name", mesh.name).stdout


def test_status_tells_where_a_lab_runs_and_how_it_is_doing(mesh) -> None:
    done = run("status", "--name", mesh.name, "-o", "json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, found
    assert (found["cluster"], found["network"], found["mode"]) == ("embedded", "loopback", "permissive")
    assert found["image"].startswith("meshlab:")
    assert found["kubeconfig"] == str(mesh.kubeconfig)
    assert psutil.Process(found["pid"]).is_running()
    assert found["healthy"]
    assert {name for name, part in found["health"].items() if part["ok"]} == {
        "daemon",
        "api",
        "node",
        "control plane",
        "certificates",
        "pods",
    }
    shown = run("status", "--name", mesh.name).stdout
    assert "✗" not in shown
    assert str(mesh.kubeconfig) in shown


def test_kubeconfig_prints_a_path_that_kubectl_takes(mesh) -> None:
    path = Path(run("kubeconfig", "--name", mesh.name).stdout.strip())
    assert path == mesh.kubeconfig
    assert oct(path.stat().st_mode)[-3:] == "600"


def test_two_shells_at_once_end_with_one_lab(home: Path) -> None:
    command = [sys.executable, "-m", "meshlab.cli", "up", "--no-demo", "--name", "pair"]
    try:
        shells = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"]
        said = [shell.communicate(timeout=120) for shell in shells]
        assert [shell.returncode for shell in shells] == [0, 0], said
        assert json.loads(run("status", "--name", "pair", "-o", "json").stdout)["healthy"]
    finally:
        assert run("down", "--purge", "--name", "pair").returncode == 0


def test_ctrl_c_while_a_lab_starts_is_clean_and_the_next_up_finishes(home: Path) -> None:
    cluster = EmbeddedCluster("interrupted")
    try:
        up = subprocess.Popen(
            [sys.executable, "-m", "meshlab.cli", "up", "--no-demo", "--name", cluster.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert up.stdout
        assert "Check this machine" in up.stdout.readline()
        up.send_signal(signal.SIGINT)
        _, said = up.communicate(timeout=60)
        assert up.returncode == 130
        assert "Interrupted." in said
        assert "Traceback" not in said
        assert run("up", "--no-demo", "--name", cluster.name).returncode == 0
    finally:
        subprocess.run([sys.executable, "-m", "meshlab.cli", "down", "--purge", "--name", cluster.name], check=True)
