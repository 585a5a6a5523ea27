"""The server as a whole: starting, stopping, and a disk that is full while it runs."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from meshlab.cluster.embedded.apiserver import body
from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.cluster.embedded.apiserver.server import ApiServer

MAPS = "/api/v1/namespaces/default/configmaps"


@asynccontextmanager
async def admin(server: ApiServer, folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    (folder / "client.pem").write_bytes(b"".join(server.pki.client("admin", ("system:masters",))))
    context = ssl.create_default_context(cafile=str(server.pki.ca_cert))
    context.load_cert_chain(folder / "client.pem")
    async with aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield session


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    found = ApiServer(tmp_path, Pki.open(tmp_path / "pki"), block="127.77")
    await found.start()
    yield found
    await found.stop()


async def test_keys_are_private_and_kept(tmp_path: Path) -> None:
    pki = Pki.open(tmp_path / "pki")
    before = pki.serving_cert.read_bytes()
    assert {path.stat().st_mode & 0o777 for path in pki.folder.iterdir()} == {0o600}
    assert Pki.open(tmp_path / "pki").serving_cert.read_bytes() == before
    assert Pki.open(tmp_path / "pki", ("127.77.128.1",)).serving_cert.read_bytes() != before


async def test_the_cluster_begins_with_its_namespaces_and_its_own_service(server: ApiServer) -> None:
    namespaces = [stored.key[1] for stored in server.store.list("namespaces")]
    assert namespaces == ["default", "kube-node-lease", "kube-public", "kube-system"]
    service = server.store.get("services", ("default", "kubernetes"))
    assert service
    assert service.obj["spec"]["clusterIP"] == "127.77.128.1"


async def test_a_stop_ends_open_watches(tmp_path: Path) -> None:
    server = ApiServer(tmp_path, Pki.open(tmp_path / "pki"))
    await server.start()
    async with admin(server, tmp_path) as session, session.get(f"{MAPS}?watch=true") as watch:
        await server.stop()
        assert await asyncio.wait_for(watch.content.read(), 5) == b""


async def test_a_port_that_is_taken_is_told_and_nothing_is_left_open(tmp_path: Path) -> None:
    server = ApiServer(tmp_path, Pki.open(tmp_path / "pki"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="in use"):
            await server.start(port=taken.getsockname()[1])
        assert await server.start()
    await server.stop()


async def test_a_write_that_the_disk_refuses_is_answered_so_and_reads_go_on(server: ApiServer, tmp_path: Path) -> None:
    async with admin(server, tmp_path) as session:
        headers = {"Content-Type": "application/json"}
        pages = server.store._database.execute("PRAGMA page_count").fetchone()[0]
        server.store._database.execute(f"PRAGMA max_page_count = {pages}")
        large = json.dumps({"metadata": {"name": "a"}, "data": {"x": "y" * 500_000}})
        async with session.post(MAPS, data=large, headers=headers) as answer:
            said = await answer.json()
        assert (answer.status, said["reason"]) == (507, "InsufficientStorage")
        assert "nothing was changed" in said["message"]
        async with session.get(f"{MAPS}/a") as answer:
            assert answer.status == 404
        server.store._database.execute("PRAGMA max_page_count = 1000000")
        async with session.post(MAPS, data=large, headers=headers) as answer:
            assert answer.status == 201


async def test_a_body_that_is_too_large_is_refused(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LIMIT", 10_000)
    async with admin(server, tmp_path) as session:
        large = json.dumps({"metadata": {"name": "a"}, "data": {"x": "y" * 20_000}})
        async with session.post(MAPS, data=large, headers={"Content-Type": "application/json"}) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (413, "RequestEntityTooLarge")


async def test_a_kind_that_nothing_acts_on_says_so(server: ApiServer, tmp_path: Path) -> None:
    async with admin(server, tmp_path) as session:
        budget = json.dumps({"metadata": {"name": "a"}, "spec": {"minAvailable": 1}})
        path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
        async with session.post(path, data=budget, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 201
            assert "nothing in it acts on them" in answer.headers["Warning"]
