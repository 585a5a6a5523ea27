"""Two control planes: both answer the API server, one talks to the proxies, and it is no matter which."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from made_up_store import made_up_store

from meshlab.controlplane.badge import LABEL
from meshlab.controlplane.election import NAME
from meshlab.controlplane.serving import NAMESPACE, OwnCertificate, serve
from meshlab.controlplane.webhooks import INJECTOR, injector_routes
from meshlab.dataplane.installed import data_plane
from meshlab.errors import DataPlaneError
from meshlab.identity import CertificateAuthority
from meshlab.kube.objects import LEASE, MUTATING_WEBHOOK, POD

if TYPE_CHECKING:
    from meshlab.controlplane.plane import ControlPlane
    from tests.controlplane.conftest import Api, Eventually, Running

SERVER_NAME = "meshlab-webhooks.meshlab-system.svc"
REVIEW = {"request": {"uid": "1-2-3", "namespace": "kube-system", "object": {"spec": {"containers": []}}}}


async def make_replica(api: Api, name: str) -> None:
    await api.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "meshlab-controller"}},
            "spec": {
                "serviceAccountName": "meshlab-controller",
                "containers": [{"name": "controller", "image": "meshlab:latest"}],
            },
        }
    )


async def wearers(api: Api) -> list[str]:
    return [pod["metadata"]["name"] for pod in await api.kube.list(POD, NAMESPACE, labels=f"{LABEL}=true")]


async def review(port: int, roots: bytes) -> str:
    """Ask an injector as the API server does, over a connection of its own; the serial number it shows."""
    context = ssl.create_default_context(cadata=roots.decode())
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=SERVER_NAME)
    try:
        body = json.dumps(REVIEW)
        head = f"POST /mutate-pod-creation HTTP/1.1\r\nhost: injector\r\ncontent-length: {len(body)}"
        writer.write(f"{head}\r\nconnection: close\r\n\r\n{body}".encode())
        answer = (await reader.read()).partition(b"\r\n\r\n")[2]
        assert json.loads(answer)["response"]["allowed"]
        return str(writer.get_extra_info("peercert")["serialNumber"])
    finally:
        writer.close()
        await writer.wait_closed()


async def written(api: Api) -> bytes:
    """The roots by which the API server knows the injector."""
    configuration = await api.kube.get(MUTATING_WEBHOOK, INJECTOR)
    return base64.b64decode(configuration["webhooks"][0]["clientConfig"]["caBundle"])


async def test_both_are_ready_and_the_second_takes_over_what_the_first_did(
    api: Api, running: Running, eventually: Eventually
) -> None:
    for name in ("first", "second"):
        await make_replica(api, name)

    async def only(name: str) -> None:
        async with asyncio.timeout(5):
            while await wearers(api) != [name]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(api.kube, "first"))
        await only("first")
        async with running(api.kube, "second") as second:
            assert (first.leads, second.leads) == (True, False)
            assert second.ports.ads == second.ports.certificates == second.ports.observe == 0, "these are the leader's"
            for plane in (first, second):
                await review(plane.ports.injector, await written(api))
            await stack.aclose()
            await eventually(lambda: second.leads, "the second leads")
            await only("second")
            assert second.ports.ads


async def give_lease(api: Api, holder: str) -> None:
    """As another candidate would take it, or give it back."""
    await api.kube.patch(LEASE, NAME, {"spec": {"holderIdentity": holder}}, NAMESPACE)


async def test_a_leader_that_loses_its_lease_serves_no_proxy_until_it_has_it_again(
    api: Api, plane: ControlPlane, eventually: Eventually
) -> None:
    await give_lease(api, "another")
    await eventually(lambda: not plane.leads, "it leads no more")
    for port in (plane.ports.ads, plane.ports.certificates, plane.ports.observe):
        await _is_refused(port)
    assert all(plane.conditions().values()), "it stands by, and answers the API server"
    await review(plane.ports.injector, await written(api))
    await give_lease(api, "")
    await eventually(lambda: plane.leads, "it leads again")
    _, writer = await asyncio.open_connection("127.0.0.1", plane.ports.ads)
    writer.close()
    await writer.wait_closed()


async def _is_refused(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()


class ShortLived(CertificateAuthority):
    """One whose certificates are due after a second."""

    async def issue(self, *request: Any, **more: Any) -> bytes:
        return await super().issue(*request, **{**more, "lifetime": timedelta(seconds=3)})


async def test_the_webhooks_certificate_is_renewed_and_no_admission_refused() -> None:
    store, authority = await made_up_store(), ShortLived.create()
    store.issuer = authority

    async def namespace(_name: str) -> dict[str, Any]:
        return {"metadata": {"name": "kube-system"}}

    own = OwnCertificate(store)
    await own.obtain()
    runner, port = await serve(injector_routes(namespace, dict), "127.0.0.1", 0, own.context())
    renewing = asyncio.create_task(own.renew())
    try:
        serials: set[str] = set()
        async with asyncio.timeout(20):
            while len(serials) < 3:
                serials.add(await review(port, await authority.bundle()))
    finally:
        renewing.cancel()
        await runner.cleanup()


def test_a_data_plane_nobody_installed_is_named_with_those_that_are() -> None:
    with pytest.raises(DataPlaneError, match=r"ML356.*nginx.*\nHint: installed: envoy"):
        data_plane("nginx")
