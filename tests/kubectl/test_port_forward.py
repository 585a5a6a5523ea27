"""kubectl port-forward: ports of pods at one's own machine."""

from __future__ import annotations

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

pytestmark = [pytest.mark.kubectl, pytest.mark.usefixtures("busy")]


@contextmanager
def forwarded(kubectl, *arguments):
    """The local ports of `kubectl port-forward`, and the process."""
    running = kubectl.start("port-forward", "--address=127.0.0.1", *arguments)
    try:
        ports = {}
        while len(ports) < len(arguments) - 1:
            line = running.stdout.readline()
            found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", line)
            assert found, line + running.stdout.read()
            ports[int(found[2])] = int(found[1])
        yield ports, running
    finally:
        running.kill()
        running.communicate()


def ask(port, said):
    """What a server answers before it closes the connection, when nothing more is said."""
    with socket.create_connection(("127.0.0.1", port), timeout=90) as connection:
        connection.sendall(said)
        answer = bytearray()
        while chunk := connection.recv(65536):
            answer += chunk
        return bytes(answer)


def line(port, said):
    """The line that a server answers to a line."""
    with socket.create_connection(("127.0.0.1", port), timeout=90) as connection, connection.makefile("rwb") as file:
        file.write(said + b"\n")
        file.flush()
        return file.readline()


@pytest.mark.parametrize(("target", "port", "inside"), [("deployment/busy", 8080, 8080), ("service/busy", 80, 8080)])
def test_a_port_is_reached_by_the_name_of_what_has_it(kubectl, target, port, inside):
    with forwarded(kubectl, target, f":{port}") as (ports, _):
        assert line(ports[inside], b"hello") == b"HELLO\n"


def test_several_ports_and_many_connections_at_once(kubectl, pod):
    with forwarded(kubectl, f"pod/{pod}", ":8080", ":8081") as (ports, _), ThreadPoolExecutor(20) as threads:
        floods = [threads.submit(ask, ports[8081], b"3000000\n") for _ in range(4)]
        lines = [threads.submit(line, ports[8080], b"line %d" % number) for number in range(40)]
        assert [each.result() for each in lines] == [b"LINE %d\n" % number for number in range(40)]
        assert [len(each.result()) for each in floods] == [3_000_000] * 4


def test_one_who_does_not_read_holds_up_no_other_for_ever(kubectl, pod):
    with forwarded(kubectl, f"pod/{pod}", ":8080", ":8081") as (ports, _):
        with socket.create_connection(("127.0.0.1", ports[8081])) as deaf:
            deaf.sendall(b"50000000\n")
            assert deaf.recv(1)
        assert line(ports[8080], b"after") == b"AFTER\n"


async def test_the_end_of_what_a_client_says_is_told_to_the_server(kubectl, pod, where):
    if where == "kind":
        pytest.skip("containerd doesn't pass on that one direction has ended")
    with forwarded(kubectl, f"pod/{pod}", ":8080") as (ports, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[8080])
        writer.write(b"last words\n")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 90) == b"LAST WORDS\nBYE"
        writer.close()


def test_a_port_where_nobody_listens_is_told_and_ends_it_as_everywhere(kubectl, pod):
    with forwarded(kubectl, f"pod/{pod}", ":81") as (ports, running):
        assert ask(ports[81], b"") == b""
        said = running.stdout.read()
    assert re.search(
        rf"an error occurred forwarding {ports[81]} -> 81: error forwarding port 81 to pod \S+, uid : ", said
    )
    assert "connect: connection refused" in said
    assert "error: lost connection to pod" in said


def test_only_who_may_create_pods_portforward_gets_through(kubectl, pod):
    account = f"--as=system:serviceaccount:{kubectl.namespace}:stranger"
    kubectl("create", "role", "sees", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "sees", "--role=sees", f"--serviceaccount={kubectl.namespace}:stranger")
    said = kubectl("port-forward", account, f"pod/{pod}", ":8080", fails=True)
    assert 'cannot create resource "pods/portforward" in API group ""' in said
