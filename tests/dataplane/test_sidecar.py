"""The agent beside the app, as a process: certificate, Envoy, probes, renewal, drain."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web
from loopback_mesh import CONTROLLER, Load, Mesh, Pod, call

from meshlab.dataplane import SidecarSettings
from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.admin import Admin
from meshlab.dataplane.envoy.bootstrap import known_roots, secret_files
from meshlab.dataplane.envoy.inject import FOLDER, TOKEN_FOLDER, inject
from meshlab.identity import CertificateAuthority, Grant, new_svid
from meshlab.mesh.identity import Identity
from meshlab.xds.tls import node_name

STORE = Identity("bookstore", "bookstore")
NAME = "meshlab-controller.meshlab-system.svc"
URL = "http://bookstore.bookstore:14001/books-bought"


@dataclass
class Signing:
    """The control plane's signing endpoint, for a token that is always good."""

    mesh: Mesh
    lifetime: timedelta = timedelta(hours=24)
    refuse: int = 0
    tokens: list[str] = field(default_factory=list)
    trust: str = "first"
    more_roots: str = ""
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    has: str = ""
    """The trust that the sidecar said it had, when it asked last."""

    async def sign(self, request: web.Request) -> web.Response:
        self.has = request.headers.get("If-None-Match", "").strip('"')
        if self.has == self.trust:
            await self.moved.wait()
        self.tokens.append(request.headers["Authorization"])
        if self.refuse:
            self.refuse -= 1
            return web.Response(status=401, text="who are you?\n")
        node = self.mesh.pods["bookstore-v1"].node
        chain = await self.mesh.ca.issue(await request.read(), STORE, names=[node_name(node)], lifetime=self.lifetime)
        bundle = await self.mesh.ca.bundle()
        body = Grant(chain.decode(), bundle.decode() + self.more_roots).to_json()
        return web.Response(body=body, headers={"ETag": f'"{self.trust}"'})

    def move(self, trust: str, more_roots: str) -> None:
        """From now on more roots are to be trusted."""
        self.trust, self.more_roots = trust, more_roots
        self.moved.set()


@pytest.fixture
async def signing(tmp_path: Path) -> AsyncIterator[Signing]:
    async with Mesh() as mesh:
        await mesh.pod("bookbuyer", app=False)
        pod = await mesh.pod("bookstore-v1", "bookstore", envoy=False)
        mesh.service("bookstore/bookstore", pod.workload.name)
        mesh.set_snapshots(mesh.world(), await mesh.ca.bundle())
        svid = await new_svid(mesh.ca, CONTROLLER, names=[NAME])
        (tmp_path / "server.pem").write_bytes(svid.key + svid.chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        signing = Signing(mesh)
        app = web.Application()
        app.router.add_post("/v1/certificates", signing.sign)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, f"{mesh.host}.1", names.SIGNING_PORT, ssl_context=context).start()
        yield signing
        await runner.cleanup()


@dataclass
class Sidecar:
    process: asyncio.subprocess.Process
    folder: Path
    pod: Pod

    @property
    def admin(self) -> Admin:
        return Admin(self.folder)


@pytest.fixture
async def start(signing: Signing, tmp_path: Path):
    """Start the sidecar with the environment that the injector would give it."""
    started: list[Sidecar] = []

    async def start(*, left: dict[str, Any] | None = None, **variables: str) -> Sidecar:
        """`left`: files of an earlier life."""
        pod = signing.mesh.pods["bookstore-v1"]
        root = tmp_path / "a-path-that-is-longer-than-what-the-name-of-a-unix-socket-may-be" / "root"
        for folder in (FOLDER, TOKEN_FOLDER):
            (root / folder.lstrip("/")).mkdir(parents=True)
        (root / TOKEN_FOLDER.lstrip("/") / "token").write_text("a-token\n")
        for name, content in (left or {}).items():
            (root / FOLDER.lstrip("/") / name).write_text(json.dumps(content))
        variables = {**await environment(signing.mesh, pod), **variables, "MESHLAB_CONTAINER_ROOT": str(root)}
        log = (tmp_path / "log").open("wb")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "meshlab.dataplane.envoy.sidecar",
            env={**os.environ, **variables},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        sidecar = Sidecar(process, root / FOLDER.lstrip("/"), pod)
        started.append(sidecar)
        return sidecar

    yield start
    for sidecar in started:
        if sidecar.process.returncode is None:
            sidecar.process.kill()
            await sidecar.process.wait()


async def environment(mesh: Mesh, pod: Pod) -> dict[str, str]:
    probe = {"httpGet": {"path": "/alive", "port": pod.port}}
    spec = {"serviceAccountName": "bookstore", "containers": [{"name": "app", "livenessProbe": probe}]}
    settings = SidecarSettings("meshlab:1", f"{mesh.host}.1", (await mesh.ca.bundle()).decode(), explicit=True)
    sidecar = inject({"metadata": {}, "spec": spec}, settings)["spec"]["initContainers"][-1]
    fields = {
        "metadata.name": pod.workload.name,
        "metadata.namespace": pod.workload.namespace,
        "status.podIP": pod.address,
    }
    return {
        item["name"]: item["value"] if "value" in item else fields[item["valueFrom"]["fieldRef"]["fieldPath"]]
        for item in sidecar["env"]
    }


async def get(address: str, port: int, path: str, headers: str = "") -> int:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n{headers}\r\n".encode())
    head = await reader.readuntil(b"\r\n")
    writer.close()
    return int(head.split()[1])


async def ready(sidecar: Sidecar) -> None:
    """As the kubelet asks, until it is told yes."""
    async with asyncio.timeout(15):
        while True:
            try:
                if await get(sidecar.pod.address, names.STATS_PORT, "/ready") == 200:
                    return
            except (OSError, asyncio.IncompleteReadError):
                pass
            assert sidecar.process.returncode is None, "the sidecar ended"
            await asyncio.sleep(0.02)


async def test_it_proves_which_pod_it_is_and_carries_traffic(signing: Signing, start):
    sidecar = await start()
    await ready(sidecar)
    answer = await call(signing.mesh.pods["bookbuyer"].address, URL)
    assert (answer.status, answer.body) == (200, "bookstore-v1")
    assert signing.tokens == ["Bearer a-token"]


async def test_keys_and_admin_are_for_its_own_user_alone(signing: Signing, start):
    sidecar = await start()
    await ready(sidecar)
    for path in sidecar.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


async def test_a_refusal_is_told_and_tried_again(signing: Signing, start, tmp_path: Path):
    signing.refuse = 2
    await ready(await start())
    log = (tmp_path / "log").read_text()
    assert "ML301" in log
    assert "401: who are you?" in log


async def test_it_is_not_ready_before_it_is_configured(signing: Signing, start):
    await signing.mesh.stop_server()
    sidecar = await start()
    await signing.mesh.eventually((sidecar.folder / "admin.sock").exists, within=10)
    assert await asyncio.to_thread(sidecar.admin.get, "/ready") != "LIVE\n"
    await signing.mesh.start_server()
    signing.mesh.set_snapshots(signing.mesh.world(), await signing.mesh.ca.bundle())
    await ready(sidecar)


async def test_probes_reach_the_app_through_their_own_ports(signing: Signing, start):
    sidecar = await start()
    await ready(sidecar)
    address, port = sidecar.pod.address, sidecar.pod.port
    assert await get(address, 15901, "/osm-liveness-probe/app") == 200
    assert sidecar.pod.requests[-1][""] == "GET /alive HTTP/1.1"
    assert await get(address, 15901, "/anything-else") == 404
    assert await get(address, 15904, "/osm-healthcheck", f"Original-Tcp-Port: {port}\r\n") == 200
    assert await get(address, 15904, "/osm-healthcheck", "Original-Tcp-Port: 1\r\n") == 503
    assert await get(address, 15904, "/osm-healthcheck") == 503


async def test_metrics_are_open_and_the_admin_interface_is_not(signing: Signing, start):
    sidecar = await start()
    await ready(sidecar)
    assert await get(sidecar.pod.address, names.STATS_PORT, "/stats/prometheus") == 200
    for path in ("/config_dump", "/quitquitquit", "/certs"):
        assert await get(sidecar.pod.address, names.STATS_PORT, path) == 404


async def test_its_certificate_is_renewed_without_a_restart(signing: Signing, start):
    signing.lifetime = timedelta(seconds=6)
    sidecar = await start()
    await ready(sidecar)
    first = (sidecar.folder / "proxy.json").read_text()
    await signing.mesh.eventually(lambda: (sidecar.folder / "proxy.json").read_text() != first, within=15)
    await signing.mesh.stop_server()
    await signing.mesh.start_server()
    signing.mesh.set_snapshots(signing.mesh.world(), await signing.mesh.ca.bundle())
    await signing.mesh.eventually(lambda: signing.mesh.server.proxies[sidecar.pod.node].connected, within=10)


async def test_it_takes_other_roots_at_once_and_says_so(signing: Signing, start):
    sidecar = await start()
    await ready(sidecar)
    await signing.mesh.eventually(lambda: signing.has == "first")
    more = (await CertificateAuthority.create().bundle()).decode()
    signing.move("second", more)
    await signing.mesh.eventually(lambda: signing.has == "second")
    roots = known_roots({"controller-roots.json": (sidecar.folder / "controller-roots.json").read_text()})
    assert roots == (await signing.mesh.ca.bundle()).decode() + more


async def test_started_again_it_knows_the_control_plane_by_the_roots_it_took(signing: Signing, start):
    born_with = (await CertificateAuthority.create().bundle()).decode()
    taken = (await signing.mesh.ca.bundle()).decode()
    await ready(await start(left=secret_files("", "", taken), MESHLAB_CA_BUNDLE=born_with))


async def test_on_sigterm_calls_in_flight_are_finished_and_it_ends_well(signing: Signing, start):
    sidecar = await start()
    await ready(sidecar)
    envoy = psutil.Process(sidecar.process.pid).children()[0]
    sidecar.pod.hold()
    slow = asyncio.create_task(call(signing.mesh.pods["bookbuyer"].address, URL))
    await signing.mesh.eventually(lambda: bool(sidecar.pod.requests))
    os.killpg(sidecar.process.pid, signal.SIGTERM)
    await signing.mesh.eventually(lambda: not_ready(sidecar))
    sidecar.pod.answering.set()
    assert (await slow).status == 200
    assert await asyncio.wait_for(sidecar.process.wait(), 20) == 0
    assert not envoy.is_running()


def not_ready(sidecar: Sidecar) -> bool:
    return sidecar.admin.get("/ready") != "LIVE\n"


async def test_envoy_does_not_outlive_its_agent(signing: Signing, start):
    sidecar = await start()
    await ready(sidecar)
    envoy = psutil.Process(sidecar.process.pid).children()[0]
    sidecar.process.kill()
    await sidecar.process.wait()
    await signing.mesh.eventually(lambda: not envoy.is_running() or envoy.status() == psutil.STATUS_ZOMBIE)


async def test_it_ends_when_envoy_ends(signing: Signing, start):
    sidecar = await start()
    await ready(sidecar)
    psutil.Process(sidecar.process.pid).children()[0].kill()
    assert await asyncio.wait_for(sidecar.process.wait(), 5) != 0


async def test_it_can_be_stopped_while_it_waits_for_its_certificate(signing: Signing, start, tmp_path: Path):
    signing.refuse = 1000
    sidecar = await start()
    await signing.mesh.eventually(lambda: b"ML301" in (tmp_path / "log").read_bytes())
    sidecar.process.terminate()
    assert await asyncio.wait_for(sidecar.process.wait(), 5) == 0


async def test_load_goes_on_while_a_replica_is_replaced(signing: Signing, start):
    mesh = signing.mesh
    await mesh.pod("bookstore-v2", "bookstore")
    mesh.service("bookstore/bookstore", "bookstore-v1", "bookstore-v2")
    sidecar = await start()
    await ready(sidecar)
    await mesh.push()
    async with Load(mesh.pods["bookbuyer"].address, URL) as load:
        await load.more(100)
        async with load.paused():
            sidecar.process.terminate()
            sidecar.pod.stop_app()
        mesh.service("bookstore/bookstore", "bookstore-v2")
        await mesh.push([pod.node for pod in mesh.pods.values() if pod is not sidecar.pod])
        await sidecar.process.wait()
        await load.more(100)
    assert load.failed == {}
