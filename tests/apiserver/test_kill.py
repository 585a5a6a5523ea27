"""`kill -9` during a stream of concurrent writes: what was acknowledged is there, and versions never go back."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from pathlib import Path

import aiohttp

from meshlab.cluster.embedded.apiserver.pki import Pki

KILLS = 20
WRITERS = 8
WRITES = 80
MAPS = "/api/v1/namespaces/default/configmaps"

SERVE = """
import asyncio, pathlib, sys
from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.cluster.embedded.apiserver.server import ApiServer

async def main():
    folder = pathlib.Path(sys.argv[1])
    print(await ApiServer(folder, Pki.open(folder / "pki")).start(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def start(folder: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    port = await asyncio.wait_for(process.stdout.readline(), 30)
    return process, f"https://127.0.0.1:{port.decode().strip()}"


def session_for(pki: Pki, folder: Path) -> aiohttp.ClientSession:
    certificate, key = pki.client("admin", ("system:masters",))
    (folder / "client.pem").write_bytes(certificate + key)
    context = ssl.create_default_context(cafile=str(pki.ca_cert))
    context.load_cert_chain(folder / "client.pem")
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0))


async def write(
    session: aiohttp.ClientSession,
    url: str,
    writer: int,
    acknowledged: dict[str, tuple[int, str]],
    many: asyncio.Semaphore,
) -> None:
    """Create and change objects until the server is gone; note what was acknowledged last of each."""
    name, number = f"w{writer}", 0
    try:
        while True:
            number += 1
            body = json.dumps({"metadata": {"name": f"{name}-{number}"}, "data": {"n": str(number)}})
            async with session.post(url + MAPS, data=body, headers={"Content-Type": "application/json"}) as made:
                assert made.status in (201, 409)
                if made.status == 201:
                    version = int((await made.json())["metadata"]["resourceVersion"])
                    acknowledged[f"{name}-{number}"] = (version, str(number))
                    many.release()
            patch = json.dumps({"data": {"n": f"{number}+"}})
            media = {"Content-Type": "application/merge-patch+json"}
            async with session.patch(f"{url}{MAPS}/{name}-{number}", data=patch, headers=media) as changed:
                assert changed.status == 200
                version = int((await changed.json())["metadata"]["resourceVersion"])
                acknowledged[f"{name}-{number}"] = (version, f"{number}+")
                many.release()
    except (aiohttp.ClientError, OSError):
        return


async def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    pki = Pki.open(tmp_path / "pki")
    acknowledged: dict[str, tuple[int, str]] = {}
    newest = 0
    async with session_for(pki, tmp_path) as session:
        for kill in range(KILLS + 1):
            process, url = await start(tmp_path)
            async with session.get(url + MAPS) as answer:
                listed = await answer.json()
            stored = {
                item["metadata"]["name"]: (int(item["metadata"]["resourceVersion"]), item["data"]["n"])
                for item in listed["items"]
                if "data" in item and "n" in item["data"]
            }
            version = int(listed["metadata"]["resourceVersion"])
            assert version >= newest, f"kill {kill}: version went back"
            for name, (seen, data) in acknowledged.items():
                assert name in stored, f"kill {kill}: {name} is lost"
                assert stored[name] == (seen, data) or stored[name][0] > seen, f"kill {kill}: {name} went back"
            many = asyncio.Semaphore(0)
            writers = [
                asyncio.create_task(write(session, url, number, acknowledged, many)) for number in range(WRITERS)
            ]
            for _ in range(WRITES if kill < KILLS else 0):
                await asyncio.wait_for(many.acquire(), 10)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await asyncio.gather(*writers)
            newest = max([version, *(seen for seen, _ in acknowledged.values())])
    assert len(acknowledged) > KILLS
