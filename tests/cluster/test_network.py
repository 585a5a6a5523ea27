"""Which pod network does a lab get, and what if it can't be had?"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.embedded.node import networks
from meshlab.cluster.labs import cluster_of
from meshlab.errors import ClusterError
from meshlab.kube import Kube
from meshlab.kube.objects import NODE, SERVICE

UP = """
import asyncio, json, sys
from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.errors import ClusterError
lab = EmbeddedCluster("none", sys.argv[1])
try:
    asyncio.run(lab.up())
    print(json.dumps(lab.network))
except ClusterError as error:
    print(json.dumps([error.code, error.what]))
finally:
    asyncio.run(lab.purge())
"""


@pytest.fixture
async def own(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedCluster]:
    monkeypatch.delenv("MESHLAB_NETWORK")
    cluster = EmbeddedCluster("network")
    yield cluster
    await cluster.purge()


async def test_a_lab_gets_the_best_network_there_is_and_keeps_it(own: EmbeddedCluster) -> None:
    assert own.network == ""
    await own.up()
    assert own.network == networks.best()
    async with await Kube.connect(own.kubeconfig()) as kube:
        (node,) = await kube.list(NODE)
        service = await kube.get(SERVICE, "kubernetes", "default")
    assert node["metadata"]["labels"]["meshlab.dev/pod-network"] == own.network
    block = "10" if own.network == networks.NAMESPACES else "127"
    assert service["spec"]["clusterIP"].startswith(f"{block}.")

    (other,) = {*networks.NAMES} - {own.network}
    for _ in range(2):
        with pytest.raises(ClusterError, match=f"its pod network is {own.network}") as refused:
            await EmbeddedCluster(own.name, other).up()
        assert (refused.value.code, own.network) == ("ML129", networks.best())
        await own.down()


@pytest.mark.parametrize(("wanted", "said"), [("", "loopback"), ("namespaces", "ML128")])
async def test_where_the_kernel_grants_no_namespaces_there_is_loopback(home: Path, wanted: str, said: str) -> None:
    unshare = shutil.which("unshare")
    if not unshare or networks.best() == networks.LOOPBACK:
        pytest.skip("takes namespaces and unshare(1), to make a place where there are no more")
    none = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    command = [unshare, "--user", "--map-root-user", "sh", "-c", none, "sh", sys.executable, "-c", UP, wanted]
    environment = {**os.environ, "MESHLAB_HOME": str(home / "none"), "MESHLAB_NETWORK": ""}
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert said in json.loads(done.stdout)


@pytest.mark.parametrize(("kind", "network"), [("kind", "namespaces"), ("embedded", "bridge")])
def test_a_network_that_makes_no_sense_is_refused(kind: str, network: str) -> None:
    with pytest.raises(ClusterError) as refused:
        cluster_of("network", kind, network=network)
    assert refused.value.code == "ML101"
