"""The labs that tests share. Each is made once, when the first test asks for it, and taken down at the end.

``cluster``  the embedded cluster alone: an API server, controllers, a node
``mesh``     a second one, with the control plane
``demo``     a third one, with the control plane and the bookstore
``corner``   a namespace of the first, for one test

They are labs of their own, so a test of the one can't be disturbed by what another test leaves in the other.

The end-to-end suite (`EVERY_GROUND`) runs on every ground that `--ground` names; all other tests run on the first.
On kind all three labs are one, on a real kind cluster.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import hypothesis
import psutil
import pytest

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.embedded.controllers import run_controllers
from meshlab.cluster.embedded.node import Node, networks
from meshlab.cluster.embedded.node.networks import Ground
from meshlab.cluster.kind import KindCluster
from meshlab.kube import Kind, Kube, Object, load
from meshlab.kube.objects import EVENT, NAMESPACE, SERVICE_ACCOUNT
from meshlab.lab import install
from meshlab.lab.kubectl import find_kubectl
from meshlab.lab.steps import Outcome, Report

from .api_servers import ORACLE, embedded, oracle

__all__ = ["embedded", "oracle"]

GROUNDS = ("embedded-loopback", "embedded-namespaces", "kind")
EVERY_GROUND = ("interception", "kubectl", "notebooks", "smi", "story")
"""The folders of tests that are the same wherever a lab runs."""

T = TypeVar("T")
Unavailable = Callable[[str], NoReturn]


def pytest_configure() -> None:
    """A polite signal (CI that ran out of time) ends the tests as Ctrl-C does: labs are taken down.

    A shell's background job ignores Ctrl-C, and so would every program that tests start and interrupt.
    A lab that a test starts for itself has the network of the first ground, if the test asks for no other.
    """
    os.environ.setdefault("MESHLAB_NETWORK", GROUNDS[0].partition("-")[2])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    # How long an example takes says more about the machine than about the code.
    hypothesis.settings.register_profile("meshlab", deadline=None)
    hypothesis.settings.load_profile("meshlab")


@dataclass(frozen=True)
class RunningLab:
    """A lab that a test can talk to."""

    name: str
    kubeconfig: Path
    kind: str
    network: str
    image: str

    async def kube(self) -> Kube:
        """A connection with admin rights: `async with await demo.kube() as kube`."""
        return await Kube.connect(self.kubeconfig)

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """What the real kubectl prints; with `check` it has to succeed."""
        command = [str(find_kubectl()), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 or not check, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout if check else done.stdout + done.stderr


def pytest_addoption(parser: pytest.Parser) -> None:
    default = ",".join(GROUNDS[:2])
    parser.addoption("--ground", default=default, help=f"where the end-to-end tests run: some of {','.join(GROUNDS)}")
    parser.addoption("--kubeconfig", type=Path, help="run tests/kubectl against this cluster instead")
    parser.addoption("--pod-image", default=EmbeddedCluster.image, help="with --kubeconfig: an image that has sh")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let each test that needs a lab run on every ground that it is for."""
    if "where" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--ground").split(",")
    if unknown := set(wanted) - set(GROUNDS):
        raise pytest.UsageError(f"--ground {','.join(unknown)}: there are {', '.join(GROUNDS)}")
    if metafunc.config.getoption("--kubeconfig"):
        wanted = wanted[:1]
    everywhere = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0] in EVERY_GROUND
    metafunc.parametrize("where", wanted if everywhere else GROUNDS[:1], indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to the end what needs the demo, whose traffic costs time for as long as it runs; kind has one lab for all.

    Where tests run side by side (`-n 2 --dist loadgroup`), those that share what is costly stay together.
    """
    if config.getoption("--ground") != "kind":
        items.sort(key=lambda item: "demo" in _fixtures(item))
    for item in items:
        ground = item.callspec.params.get("where") if hasattr(item, "callspec") else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.parent}-{ground}" if ground else str(item.path)))


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture(scope="session")
def where(request: pytest.FixtureRequest, unavailable: Unavailable) -> Iterator[str]:
    """The ground of this test's labs."""
    ground = str(request.param)
    if ground == "embedded-namespaces" and networks.best() != networks.NAMESPACES:
        unavailable("a kernel that grants networks of one's own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHLAB_NETWORK", ground.partition("-")[2])
        yield ground


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A MESHLAB_HOME of the tests' own. At the end no process of any lab in it may be left."""
    folder = tmp_path_factory.mktemp("meshlab")
    before = os.environ.get("MESHLAB_HOME")
    os.environ["MESHLAB_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["MESHLAB_HOME"]
    else:
        os.environ["MESHLAB_HOME"] = before
    left = processes_of(folder)
    for process in left:
        process.kill()
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session")
def lab_name() -> str:
    """The name for a lab that a test starts and ends itself."""
    return "own"


@pytest.fixture(scope="session")
def kind_cluster(home: Path) -> Iterator[KindCluster]:
    """The name of the one lab on kind. Whoever started it, at the end nothing of it is left."""
    kind = KindCluster("e2e")
    yield kind
    subprocess.run([sys.executable, "-m", "meshlab.cli", "down", "--name", kind.name], check=True, timeout=120)
    assert f"meshlab-{kind.name}" not in subprocess.check_output(["docker", "ps", "--all"], text=True)


@pytest.fixture(scope="session")
def on_kind(kind_cluster: KindCluster, request: pytest.FixtureRequest) -> RunningLab:
    """A lab on kind, with everything. The terminal shows how long each step took."""
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def tell(report: Report) -> None:
        if report.outcome is not Outcome.RUNNING:
            with capture.global_and_fixture_disabled():
                print(f"\n{report}", end="", flush=True)

    asyncio.run(install.start(kind_cluster.name, True, tell, kind=kind_cluster.kind))
    return _lab(kind_cluster)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, home: Path, where: str) -> Iterator[RunningLab]:
    """The cluster alone."""
    if given := request.config.getoption("--kubeconfig"):
        yield RunningLab("given", given, "given", "", request.config.getoption("--pod-image"))
        return
    if where == "kind":
        yield request.getfixturevalue("on_kind")
        return
    with _running("cluster") as embedded:
        asyncio.run(embedded.up())
        yield _lab(embedded)


@pytest.fixture(scope="session")
def mesh(request: pytest.FixtureRequest, home: Path, where: str) -> Iterator[RunningLab]:
    """Cluster and control plane, no demo."""
    if where == "kind":
        yield request.getfixturevalue("on_kind")
        return
    with _running("mesh") as embedded:
        asyncio.run(install.start(embedded.name, demo=False))
        yield _lab(embedded)


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest, home: Path, where: str) -> Iterator[RunningLab]:
    """Everything that `meshlab up` starts."""
    if where == "kind":
        yield request.getfixturevalue("on_kind")
        return
    with _running("demo") as embedded:
        asyncio.run(install.start(embedded.name))
        yield _lab(embedded)


@dataclass(frozen=True)
class Corner:
    """A namespace that one test has for itself."""

    kube: Kube
    namespace: str

    async def apply(self, text: str) -> list[Object]:
        """Create what a text of YAML says, here."""
        here = {"namespace": self.namespace}
        return [await self.kube.create({**obj, "metadata": {**obj["metadata"], **here}}) for obj in load(text)]

    async def get(self, kind: Kind, name: str) -> Object:
        """An object of this namespace."""
        return await self.kube.get(kind, name, self.namespace)

    async def list(self, kind: Kind, labels: str = "") -> list[Object]:
        """The objects of a kind in this namespace."""
        return await self.kube.list(kind, self.namespace, labels=labels)

    async def patch(self, kind: Kind, name: str, body: Any) -> Object:
        """Merge a patch into an object."""
        return await self.kube.patch(kind, name, body, self.namespace)

    async def events(self, name: str) -> dict[str, str]:
        """What Events say of the object with a name: the newest message by reason."""
        found = await self.kube.list(EVENT, self.namespace, fields=f"involvedObject.name={name}")
        found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return {event["reason"]: event["message"] for event in found}

    async def eventually(self, check: Callable[[], Awaitable[T]], seconds: float = 60) -> T:
        """The first true answer of a check. Fails when there is none in time."""
        async with asyncio.timeout(seconds):
            while not (answer := await check()):  # noqa: ASYNC110  # the other end is another process
                await asyncio.sleep(0.02)
        return answer


@pytest.fixture
async def corner(ground: Path) -> AsyncIterator[Corner]:
    """A new namespace on the `ground`, gone afterwards."""
    async with await Kube.connect(ground) as kube:
        name = f"test-{uuid.uuid4().hex[:8]}"
        await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        made = Corner(kube, name)
        await made.eventually(lambda: kube.find(SERVICE_ACCOUNT, "default", name))
        yield made
        await kube.delete(NAMESPACE, name)


@pytest.fixture(scope="session")
def ground(request: pytest.FixtureRequest, where: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig: of the embedded cluster, or of a real API server that MESHLAB_ORACLE_KUBECONFIG names, with our
    controllers and node.
    """
    if not ORACLE:
        yield request.getfixturevalue("cluster").kubeconfig
        return
    ended = threading.Event()

    async def serve() -> None:
        async with await Kube.connect(ORACLE) as kube, asyncio.TaskGroup() as tasks:
            node = Node(kube, tmp_path_factory.mktemp("node"), image="meshlab:test", ground=Ground("loopback", 120))
            parts = [tasks.create_task(run_controllers(kube)), tasks.create_task(node.run())]
            await asyncio.to_thread(ended.wait)
            await node.stop()
            for part in parts:
                part.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    yield Path(ORACLE)
    ended.set()
    thread.join()


@pytest.fixture(scope="session")
def unavailable() -> Unavailable:
    """Skip the test by the name of what is missing; where everything was to be installed, fail it."""

    def missing(what: str) -> NoReturn:
        if os.environ.get("MESHLAB_CI") == "1":
            pytest.fail(f"{what} is missing, and CI has to have it")
        pytest.skip(f"{what} is not on this machine")

    return missing


@pytest.fixture(scope="session")
def chromium(unavailable: Unavailable) -> str:
    """The path of a Chromium to drive."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None) or unavailable("Chromium")


def _lab(cluster: EmbeddedCluster | KindCluster) -> RunningLab:
    return RunningLab(cluster.name, cluster.kubeconfig(), cluster.kind, cluster.network, cluster.image)


@contextmanager
def _running(name: str) -> Iterator[EmbeddedCluster]:
    embedded = EmbeddedCluster(name)
    try:
        yield embedded
    except BaseException:
        for log in sorted(embedded.state.folder.glob("daemon.log*")):
            sys.stderr.write(f"--- {log}\n{log.read_text(errors='replace')[-6000:]}\n")
        raise
    finally:
        asyncio.run(embedded.purge())


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process, but this one, that was started for a lab in a folder."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in mine and _belongs(process, str(home))]


def _belongs(process: psutil.Process, home: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return home in " ".join(process.cmdline()) or home in " ".join(process.environ().values())
    except psutil.Error:
        return False
