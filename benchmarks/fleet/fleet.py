"""How are the proxies' process started and commanded?"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from meshlab.identity import CertificateAuthority, Svid, new_svid
from meshlab.mesh.identity import Identity
from meshlab.xds.tls import node_name

CONTROLLER = Identity("meshlab-system", "meshlab-controller")


class Fleet:
    """Simulated proxies in a process of their own."""

    def __init__(self, process: asyncio.subprocess.Process, authority: CertificateAuthority) -> None:
        self._process = process
        self._authority = authority

    async def create(self, proxies: dict[str, Identity]) -> None:
        """Give each proxy (by node id) the certificate that proves who it is."""
        roots = (await self._authority.bundle()).decode()
        shown = []
        for node, identity in proxies.items():
            svid = await new_svid(self._authority, identity, names=[node_name(node)])
            shown.append({"node": node, "key": svid.key.decode(), "chain": svid.chain.decode(), "roots": roots})
        await self.tell(do="create", proxies=shown)

    async def tell(self, **command: Any) -> float:
        """Give a command; the CPU seconds that the process has used when it has begun to obey."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()
        return float(json.loads(await self._process.stdout.readline())["cpu"])


@asynccontextmanager
async def fleet(authority: CertificateAuthority) -> AsyncIterator[Fleet]:
    """A process for proxies, as long as it is needed."""
    here = str(Path(__file__).parents[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fleet.proxies",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": here, "GRPC_VERBOSITY": "ERROR"},
    )
    try:
        yield Fleet(process, authority)
    finally:
        process.kill()
        await process.wait()


async def own_certificate(authority: CertificateAuthority) -> Svid:
    """What a server shows."""
    return await new_svid(authority, CONTROLLER, names=["meshlab-controller"])
