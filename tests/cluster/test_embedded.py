"""A daemon of the tests' own is started, doubled, starved and killed."""

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.embedded.state import State
from meshlab.errors import ClusterError
from meshlab.kube import ApiError, Kube
from meshlab.kube.objects import CONFIG_MAP, NODE, SERVICE


@pytest.fixture
async def own(home: Path, lab_name: str) -> AsyncIterator[EmbeddedCluster]:
    """A lab that runs, for one test alone."""
    cluster = EmbeddedCluster(lab_name)
    try:
        await cluster.up()
        yield cluster
    finally:
        await cluster.purge()


def daemon_of(cluster: EmbeddedCluster) -> psutil.Process:
    running = cluster.state.daemon()
    assert running
    return running[1]


def kill(cluster: EmbeddedCluster) -> None:
    process = daemon_of(cluster)
    process.kill()
    process.wait(10)


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


async def fill(kube: Kube, acknowledged: list[str]) -> None:
    for number in range(200):
        await kube.create(config_map(f"filler-{number}", text="x" * 4000))
        acknowledged.append(f"filler-{number}")


async def test_a_daemon_belongs_to_nobody_and_outlives_who_started_it(home: Path) -> None:
    code = "import asyncio; from meshlab.cluster.embedded import EmbeddedCluster as E; asyncio.run(E('orphan').up())"
    cluster = EmbeddedCluster("orphan")
    try:
        shell = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert await asyncio.wait_for(shell.wait(), 60) == 0
        process = daemon_of(cluster)
        assert os.getsid(process.pid) != os.getsid(0), "a hang-up of this terminal does not reach it"
        assert process.ppid() == 1 or "python" not in psutil.Process(process.ppid()).name()
        async with await Kube.connect(cluster.kubeconfig()) as kube:
            assert await kube.text("/readyz") == "ok"
    finally:
        await cluster.purge()
    assert not State("orphan").folder.exists()


async def test_a_second_up_finds_the_first_and_is_quick(own: EmbeddedCluster) -> None:
    before = daemon_of(own)
    began = asyncio.get_running_loop().time()
    await EmbeddedCluster(own.name).up()
    assert daemon_of(own) == before
    assert asyncio.get_running_loop().time() - began < 2


async def test_two_shells_that_start_a_lab_at_once_share_one_daemon(home: Path) -> None:
    code = "import asyncio; from meshlab.cluster.embedded import EmbeddedCluster as E; asyncio.run(E('twice').up())"
    cluster = EmbeddedCluster("twice")
    try:
        shells = [await asyncio.create_subprocess_exec(sys.executable, "-c", code) for _ in range(3)]
        async with asyncio.timeout(60):
            assert [await shell.wait() for shell in shells] == [0, 0, 0]
        daemons = [
            process
            for process in psutil.process_iter()
            if process.name() and {"meshlab.cluster.embedded.daemon", "twice"} <= set(_arguments(process))
        ]
        assert daemons == [daemon_of(cluster)]
    finally:
        await cluster.purge()


async def test_an_up_whose_starter_was_killed_is_finished_by_the_next(home: Path) -> None:
    code = "import asyncio; from meshlab.cluster.embedded import EmbeddedCluster as E; asyncio.run(E('late').up())"
    cluster = EmbeddedCluster("late")
    cluster.state.create()
    try:
        shell = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        async with asyncio.timeout(30):
            while not cluster.state.is_held():  # noqa: ASYNC110  # the lock of another process
                await asyncio.sleep(0.005)
        shell.kill()
        await shell.wait()
        await cluster.up()
        async with await Kube.connect(cluster.kubeconfig()) as kube:
            assert await kube.text("/readyz") == "ok"
    finally:
        await cluster.purge()


async def test_a_daemon_of_another_version_is_replaced(own: EmbeddedCluster) -> None:
    before = daemon_of(own)
    own.image = "meshlab:9.9.9"
    await own.up()
    assert not before.is_running()
    last = own.state.last()
    assert last
    assert last.image == "meshlab:9.9.9"


async def test_down_ends_the_daemon_and_keeps_what_was_applied(own: EmbeddedCluster) -> None:
    async with await Kube.connect(own.kubeconfig()) as kube:
        await kube.create(config_map("kept", key="value"))
        address = (await kube.get(SERVICE, "kubernetes", "default"))["spec"]["clusterIP"]
    process = daemon_of(own)
    await own.down()
    assert not process.is_running()
    with pytest.raises(ClusterError) as refusal:
        own.kubeconfig()
    assert refusal.value.code == "ML113"
    await own.up()
    async with await Kube.connect(own.kubeconfig()) as kube:
        assert (await kube.get(CONFIG_MAP, "kept", "default"))["data"] == {"key": "value"}
        assert (await kube.get(SERVICE, "kubernetes", "default"))["spec"]["clusterIP"] == address


async def test_up_after_a_kill_finds_everything_at_the_same_address(own: EmbeddedCluster) -> None:
    kubeconfig = own.kubeconfig().read_text()
    async with await Kube.connect(own.kubeconfig()) as before:
        await before.create(config_map("kept"))
        kill(own)
        with pytest.raises(ClusterError) as refusal:
            await before.get(CONFIG_MAP, "kept", "default")
        assert refusal.value.code == "ML191"
        await own.up()
        assert await before.get(CONFIG_MAP, "kept", "default"), "a connection made before goes on working"
    server = [line for line in kubeconfig.splitlines() if "server" in line]
    assert server == [line for line in own.kubeconfig().read_text().splitlines() if "server" in line]


async def test_a_port_that_was_taken_meanwhile_is_replaced_by_a_free_one(own: EmbeddedCluster) -> None:
    last = own.state.last()
    assert last
    await own.down()
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(("127.0.0.1", last.port))
        somebody.listen()
        await own.up()
        async with await Kube.connect(own.kubeconfig()) as kube:
            assert await kube.list(NODE) is not None
        now = own.state.last()
    assert now
    assert now.port != last.port


async def test_addresses_that_another_lab_took_meanwhile_are_named(own: EmbeddedCluster) -> None:
    last = own.state.last()
    assert last
    await own.down()
    with socket.socket() as other_lab:
        other_lab.bind((f"127.{last.octet}.255.254", 15999))
        with pytest.raises(ClusterError) as refusal:
            await own.up()
    assert refusal.value.code == "ML117"
    assert f"127.{last.octet}.*" in refusal.value.what


async def test_a_kubeconfig_that_was_removed_is_written_anew(own: EmbeddedCluster) -> None:
    own.kubeconfig().unlink()
    with pytest.raises(ClusterError) as refusal:
        own.kubeconfig()
    assert refusal.value.code == "ML119"
    before = daemon_of(own)
    await own.up()
    assert daemon_of(own) == before
    async with await Kube.connect(own.kubeconfig()) as kube:
        assert await kube.list(NODE) is not None


async def test_a_service_is_reached_at_its_cluster_ip(own: EmbeddedCluster) -> None:
    host, port = await own.reach("default", "kubernetes", 443)
    assert host.startswith("127.")
    assert port == 443


async def test_a_full_disk_refuses_writes_and_loses_none_that_was_acknowledged(own: EmbeddedCluster) -> None:
    """The kernel refuses to let the daemon's files grow, as a full disk would, and later it lets them again."""
    process = daemon_of(own)
    _, hard = process.rlimit(resource.RLIMIT_FSIZE)
    acknowledged: list[str] = []
    async with await Kube.connect(own.kubeconfig()) as kube:
        largest = max(file.stat().st_size for file in own.state.folder.glob("state.db*"))
        process.rlimit(resource.RLIMIT_FSIZE, (largest + (256 << 10), hard))
        with pytest.raises(ApiError) as refusal:
            await fill(kube, acknowledged)
        assert refusal.value.status == 507, refusal.value
        assert await kube.get(CONFIG_MAP, acknowledged[-1], "default"), "reading goes on"
        process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        await kube.create(config_map("room-again"))
        acknowledged.append("room-again")
    kill(own)
    await own.up()
    async with await Kube.connect(own.kubeconfig()) as kube:
        stored = {item["metadata"]["name"] for item in await kube.list(CONFIG_MAP, "default")}
    assert set(acknowledged) <= stored
    assert f"filler-{len(acknowledged) - 1}" not in stored, "what was refused is not there"


async def test_a_daemon_that_ignores_the_polite_signal_is_ended_all_the_same(own: EmbeddedCluster) -> None:
    process = daemon_of(own)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 30)
    assert own.state.daemon() is None


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
