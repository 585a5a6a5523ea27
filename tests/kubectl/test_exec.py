"""kubectl exec: a command runs inside a container as if one sat there."""

from __future__ import annotations

import os
import subprocess
import time

import psutil
import pytest
from kubernetes import client, config
from kubernetes.stream import stream

from .terminals import COLUMNS, LINES

pytestmark = pytest.mark.kubectl

MAIN = ("exec", "deploy/busy", "-c", "server")
NOISE = os.urandom(3_000_000)


@pytest.mark.usefixtures("busy")
def test_a_command_s_outputs_and_exit_code_are_its_own(kubectl):
    done = kubectl.run(*MAIN, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.returncode) == (b"out\n", 7)
    assert done.stderr == b"err\ncommand terminated with exit code 7\n"


@pytest.mark.usefixtures("busy")
def test_a_command_ended_by_a_signal_has_128_and_its_number(kubectl):
    assert kubectl.run(*MAIN, "--", "sh", "-c", "kill -KILL $$").returncode == 137


@pytest.mark.usefixtures("busy")
def test_bytes_come_back_as_they_went_and_the_end_of_input_is_told(kubectl):
    done = kubectl.run("exec", "-i", *MAIN[1:], "--", "cat", stdin=NOISE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == NOISE


@pytest.mark.usefixtures("busy")
def test_output_of_any_size_arrives_whole(kubectl):
    done = kubectl.run(*MAIN, "--", "head", "-c", "20000000", "/dev/zero")
    assert (len(done.stdout), done.returncode) == (20_000_000, 0)


@pytest.mark.usefixtures("busy")
def test_without_interest_a_command_reads_nothing(kubectl):
    assert kubectl.run(*MAIN, "--", "cat", stdin=b"unread").stdout == b""


@pytest.mark.usefixtures("busy")
def test_the_container_is_the_first_or_the_one_named(kubectl):
    done = kubectl.run("exec", "deploy/busy", "--", "true")
    assert (done.stderr, done.returncode) == (
        b'Defaulted container "server" out of: server, reader, screen\n',
        0,
    )
    assert kubectl.run("exec", "deploy/busy", "-c", "reader", "--", "true").stderr == b""


def test_a_container_that_is_not_there_is_refused(kubectl, pod):
    said = kubectl("exec", pod, "-c", "nobody", "--", "true", fails=True)
    assert said == f"Error from server (BadRequest): container nobody is not valid for pod {pod}\n"


@pytest.mark.usefixtures("busy")
def test_a_program_that_is_not_there_is_named(kubectl):
    done = kubectl.run(*MAIN, "--", "no-such-program")
    assert done.returncode != 0
    assert b"error executing command in container" in done.stderr
    assert b'exec: "no-such-program": executable file not found in $PATH' in done.stderr


def test_a_pod_that_runs_nowhere_can_not_be_entered(kubectl):
    container = {"name": "main", "image": kubectl.image, "command": ["true"]}
    kubectl.apply("Pod", "nowhere", {"containers": [container], "nodeSelector": {"no": "such-node"}})
    said = kubectl("exec", "nowhere", "--", "true", fails=True)
    assert said == "Error from server (BadRequest): pod nowhere does not have a host assigned\n"


@pytest.mark.usefixtures("busy")
def test_a_terminal_has_the_window_s_size_and_follows_it(terminal):
    shell = terminal("exec", "-it", *MAIN[1:], "--", "sh")
    shell.shows(r"[#$] ")
    shell.press("stty size; echo is $TERM; tty\n")
    shell.shows(rf"{LINES} {COLUMNS}\s+is xterm\s+/dev/pts/")
    shell.resize(20, 50)
    shell.press("while [ \"$(stty size)\" != '20 50' ]; do sleep 0.1; done; echo re''sized\n")
    shell.shows("resized")
    shell.press("exit 5\n")
    assert shell.exit_code() == 5


@pytest.mark.usefixtures("busy")
def test_control_c_interrupts_the_command_in_front_and_not_the_shell(terminal):
    shell = terminal("exec", "-it", *MAIN[1:], "--", "sh")
    shell.shows(r"[#$] ")
    shell.press("sh -c 'echo sleeps; exec sleep 600'\n")  # it is in front before it says so
    shell.shows(r"\nsleeps")
    shell.press("\x03")
    shell.press("echo it was $?\n")
    shell.shows("it was 130")
    shell.press("\x04")
    shell.exit_code()


def test_a_command_ends_with_its_container(kubectl):
    container = {
        "name": "main",
        "image": kubectl.image,
        "workingDir": "/mnt",
        "command": ["sh", "-c", "until [ -e ended ]; do sleep 0.1; done"],
    }
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/mnt"}]}
    volumes = [{"name": "work", "emptyDir": {}}]
    kubectl.apply(
        "Pod", "short", {"containers": [{**container, **mount}], "volumes": volumes, "restartPolicy": "Never"}
    )
    kubectl("wait", "--for=condition=Ready", "pod/short", "--timeout=60s")
    assert kubectl.run("exec", "short", "--", "sh", "-c", "touch ended; exec sleep 600").returncode == 137


@pytest.mark.usefixtures("busy")
def test_what_a_client_ran_ends_when_it_vanishes(kubectl, where):
    if where == "kind":
        pytest.skip("containerd lets a command without a terminal run on")
    scripts = ["exec sleep {}", "setsid sleep {} & wait", "trap '' HUP; sleep {}"]
    marks = [f"{os.getpid()}.{number}" for number in range(len(scripts))]
    # The input never ends and nobody reads it: that the client is gone can't be told from there.
    with open("/dev/zero", "rb") as endless:  # noqa: PTH123  # a device
        clients = [
            subprocess.Popen(
                kubectl.command("exec", "-i", *MAIN[1:], "--", "sh", "-c", script.format(mark)), stdin=endless
            )
            for script, mark in zip(scripts, marks, strict=True)
        ]
    try:
        _until(lambda: _sleeping(marks) == len(marks))
    finally:
        for running in clients:
            running.kill()
            running.wait()
    _until(lambda: not _sleeping(marks))


def _sleeping(marks):
    commands = [["sleep", mark] for mark in marks]
    return sum(each.info["cmdline"] in commands for each in psutil.process_iter(["cmdline"]))


def _until(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_only_who_may_create_pods_exec_gets_in(kubectl, pod):
    account = f"--as=system:serviceaccount:{kubectl.namespace}:visitor"
    kubectl("create", "serviceaccount", "visitor")
    kubectl("create", "role", "looks", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "looks", "--role=looks", f"--serviceaccount={kubectl.namespace}:visitor")
    said = kubectl("exec", account, pod, "-c", "server", "--", "true", fails=True)
    assert said.startswith(f'Error from server (Forbidden): pods "{pod}" is forbidden: User "system:serviceaccount:')
    assert 'cannot create resource "pods/exec" in API group ""' in said
    kubectl("create", "role", "enters", "--verb=create", "--resource=pods/exec")
    kubectl("create", "rolebinding", "enters", "--role=enters", f"--serviceaccount={kubectl.namespace}:visitor")
    assert kubectl("exec", account, pod, "-c", "server", "--", "echo", "in") == "in\n"


def test_the_official_python_client_runs_commands_too(kubectl, pod):
    configuration = client.Configuration()
    config.load_kube_config(str(kubectl.kubeconfig), client_configuration=configuration)
    with client.ApiClient(configuration) as api_client:
        session = stream(
            client.CoreV1Api(api_client).connect_get_namespaced_pod_exec,
            pod,
            kubectl.namespace,
            command=["sh", "-c", "read line; echo $line; echo err >&2; exit 3"],
            container="server",
            stdin=True,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        session.write_stdin("hello\n")
        session.run_forever(timeout=20)
        assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("hello\n", "err\n", 3)
        session.sock.shutdown()  # the client leaves its socket open when the server closes first
