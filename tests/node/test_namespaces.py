"""The namespaces of a node and its pods, and the way into them, without a cluster around."""

from __future__ import annotations

import os
import subprocess
from ipaddress import IPv4Interface
from pathlib import Path

import psutil
import pytest

from meshlab.cluster.embedded.node import networks
from meshlab.cluster.embedded.node.namespaces.client import Holder
from meshlab.cluster.embedded.node.namespaces.entry import prefix
from meshlab.cluster.embedded.node.namespaces.holder import NODE

ADDRESSES = {"one": "10.99.0.2", "two": "10.99.0.3"}


@pytest.fixture(scope="module")
def pods():
    """A node with two pods: its holder, and the paths of their namespaces by name."""
    if networks.best() != networks.NAMESPACES:
        pytest.skip("this machine grants no namespaces")
    with Holder() as holder:
        holder.make_node(IPv4Interface("10.99.0.1/16"))
        yield (
            holder,
            {name: holder.make_pod(name, name, IPv4Interface(f"{own}/16")) for name, own in ADDRESSES.items()},
        )


def run(pods, command, *, hidden, shown=(), files=None, capabilities=(), pod="one"):
    begin = prefix(pods[1][pod], files or {}, hidden=hidden, shown=shown, capabilities=capabilities)
    return subprocess.run(
        [*begin, "sh", "-c", command], capture_output=True, text=True, timeout=20, check=False, cwd="/"
    )


def test_pods_and_node_reach_each_other(pods):
    holder, _ = pods
    with holder.open_socket("two") as server:
        server.bind(("", 80))
        server.listen()
        for place, source in (("one", ADDRESSES["one"]), (NODE, "10.99.0.1"), ("two", ADDRESSES["two"])):
            with holder.open_socket(place) as client:
                client.settimeout(5)
                client.connect((ADDRESSES["two"], 80))
                assert client.getsockname()[0] == source
                server.accept()[0].close()


def test_a_pod_has_a_name_and_no_address_but_its_own(pods, tmp_path):
    done = run(pods, "hostname; cut -d' ' -f6- /proc/net/if_inet6; grep eth0 -c /proc/net/route", hidden=tmp_path)
    assert done.stdout.split() == ["one", "lo", "1"], "no IPv6, and no route but to its own network"


def test_of_a_hidden_folder_only_what_is_shown_is_there_and_files_cover_the_machines(pods, tmp_path):
    for path in ("mine/a", "others/b"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text("text")
    hosts = tmp_path / "others" / "b"
    done = run(
        pods,
        f"cd {tmp_path}; find . -type f; cat /etc/hosts; touch mine/c; touch d",
        hidden=tmp_path,
        shown=[tmp_path / "mine"],
        files={hosts: Path("/etc/hosts")},
    )
    assert done.stdout.split() == ["./mine/a", "text"]
    assert "Read-only file system" in done.stderr
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"a", "b", "c"}
    assert Path("/etc/hosts").read_text() != "text"


@pytest.mark.parametrize(("asked", "mask"), [((), 0), (("NET_ADMIN", "SYS_ADMIN", "NET_RAW"), 0x3000)])
def test_only_capabilities_of_the_network_are_kept(pods, tmp_path, asked, mask):
    done = run(pods, "grep Cap /proc/self/status", hidden=tmp_path, capabilities=asked)
    assert {int(line.split()[1], 16) for line in done.stdout.splitlines()} == {mask}


def test_it_is_the_same_user(pods, tmp_path):
    assert run(pods, "id -u; id -g", hidden=tmp_path).stdout.split() == [str(os.getuid()), str(os.getgid())]


def test_a_program_that_is_not_there_is_said_to_be_missing(pods, tmp_path):
    command = [*prefix(pods[1]["one"], {}, hidden=tmp_path), "no-such-program"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (127, 'exec: "no-such-program": No such file or directory\n')


def test_what_the_kernel_refuses_is_an_error_and_the_holder_goes_on(pods):
    holder, _ = pods
    with pytest.raises(OSError, match="exists"):
        holder.make_pod("twin", "twin", IPv4Interface("10.99.0.2/16"))
    holder.forget("twin")
    holder.forget("twin")
    holder.open_socket("one").close()


def test_a_pod_that_was_forgotten_can_not_be_entered(pods, tmp_path):
    holder, paths = pods
    paths["gone"] = holder.make_pod("gone", "gone", IPv4Interface("10.99.0.9/16"))
    holder.forget("gone")
    assert run(pods, "true", hidden=tmp_path, pod="gone").returncode != 0


def test_the_holder_ends_with_its_channel():
    if networks.best() != networks.NAMESPACES:
        pytest.skip("this machine grants no namespaces")
    holder = Holder()
    process = psutil.Process(holder.pid)
    holder.close()
    assert not process.is_running()
