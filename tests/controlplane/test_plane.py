"""The control plane starts, proves who it is, signs for pods it knows, answers the API server, and tells proxies."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from meshlab.controlplane.plane import ControlPlane
from meshlab.controlplane.trust_store import TrustStore
from meshlab.identity import Grant, new_request, verify
from meshlab.kube.objects import MESH_ROOT_CERTIFICATE, MUTATING_WEBHOOK, POD, SECRET
from meshlab.mesh.root_certificate import RootCertificate
from meshlab.policy.osm.mesh_root_certificate import write
from meshlab.xds.server import SERVICE as ADS

if TYPE_CHECKING:
    from tests.controlplane.conftest import Api, Eventually, Running

_REST_OF_A_STATUS = {"ready": True, "restartCount": 0, "image": "meshlab:latest", "imageID": ""}
SERVER_NAME = "meshlab-controller.meshlab-system.svc"


async def root(api: Api) -> bytes:
    secret = await api.kube.get(SECRET, "meshlab-ca", "meshlab-system")
    return base64.b64decode(secret["data"]["tls.crt"])


async def trusting(api: Api) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=(await root(api)).decode())


async def ask(
    api: Api, port: int, path: str, *, method: str = "GET", front_proxy: bool = False, **more: Any
) -> tuple[int, str]:
    context = await trusting(api)
    if front_proxy:
        context.load_cert_chain(api.pki.front_proxy_cert, api.pki.front_proxy_key)
        more["headers"] = {"X-Remote-User": "admin", **more.get("headers", {})}
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"https://127.0.0.1:{port}{path}", ssl=context, server_hostname=SERVER_NAME, **more
        ) as response,
    ):
        return response.status, await response.text()


async def observe(api: Api, plane: ControlPlane, path: str) -> dict[str, Any]:
    status, text = await ask(api, plane.ports.observe, f"/apis/observe.meshlab.dev/v1alpha1{path}", front_proxy=True)
    assert status == 200, text
    return dict(json.loads(text))


async def make_pod(api: Api, name: str, *, meshed: bool = True) -> None:
    labels = {"app": name, **({"osm-proxy-uuid": "1-2"} if meshed else {})}
    await api.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {"containers": [{"name": "app", "image": "meshlab:latest"}], "serviceAccountName": "default"},
        }
    )


async def token(api: Api, pod: str, audience: str = "meshlab") -> str:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience], "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod}},
    }
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    return str((await api.kube.request("POST", path, body=body))["status"]["token"])


async def sign(api: Api, plane: ControlPlane, bearer: str) -> tuple[bytes, int, str]:
    key, request = new_request()
    headers = {"Authorization": f"Bearer {bearer}"}
    status, text = await ask(
        api, plane.ports.certificates, "/v1/certificates", method="POST", data=request, headers=headers
    )
    return key, status, text


@pytest.fixture
async def accounts(api: Api) -> None:
    """The account that a controller would make."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    await api.kube.apply(account)


async def test_ready_means_read_served_and_registered(api: Api, plane: ControlPlane) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{plane.ports.health}/readyz") as response:
            assert response.status == 200
            assert (await response.text()).count("[+]") == 5
        async with session.get(f"http://127.0.0.1:{plane.ports.health}/metrics") as response:
            assert "meshlab_proxies_connected 0" in await response.text()
    for webhook in (await api.kube.get(MUTATING_WEBHOOK, "meshlab-injector"))["webhooks"]:
        assert base64.b64decode(webhook["clientConfig"]["caBundle"]) == await root(api)


async def test_authorities_that_start_at_once_become_one(api: Api) -> None:
    made = await asyncio.gather(*(TrustStore.open(api.kube) for _ in range(5)))
    assert len({store.trust.version for store in made}) == 1


async def test_a_second_life_has_the_same_authority(api: Api, running: Running) -> None:
    async with running(api.kube):
        before = await root(api)
    async with running(api.kube):
        assert await root(api) == before


@pytest.mark.usefixtures("accounts")
async def test_a_pods_token_gets_a_certificate_that_says_which_pod_it_is(api: Api, plane: ControlPlane) -> None:
    await make_pod(api, "buyer")
    _, status, text = await sign(api, plane, await token(api, "buyer"))
    assert status == 200, text
    grant = Grant.from_json(text.encode())
    assert verify(grant.chain.encode(), grant.bundle.encode()) == "spiffe://cluster.local/ns/default/sa/default"


@pytest.mark.usefixtures("accounts")
async def test_a_pod_that_has_not_taken_a_root_holds_its_rotation_up_and_is_named(
    api: Api, plane: ControlPlane
) -> None:
    await eventually_observed(api, plane)
    await make_pod(api, "buyer")
    await api.kube.create(write(RootCertificate("second", secret="second-ca")))
    await api.kube.patch(MESH_ROOT_CERTIFICATE, "meshlab-root", {"spec": {"role": "inactive"}}, "meshlab-system")
    trust = await observe(api, plane, "/trust")
    while len(trust["authorities"]) < 2:
        trust = await observe(api, plane, "/trust")
    assert trust["signer"] == "meshlab-root"
    headers = {"Authorization": f"Bearer {await token(api, 'buyer')}", "If-None-Match": f'"{trust["version"]}"'}
    _, request = new_request()
    port = plane.ports.certificates
    asked = ask(api, port, "/v1/certificates", method="POST", data=request, headers=headers)
    asking = asyncio.create_task(asked)
    while {one["who"] for one in trust["behind"]} != {"default/buyer"}:
        trust = await observe(api, plane, "/trust")
    assert trust["signer"] == "meshlab-root"
    assert not asking.done(), "it has what holds, and waits for something else"
    await api.kube.delete(POD, "buyer", "default")
    status, text = await asking
    assert status == 200
    assert Grant.from_json(text.encode()).bundle.count("BEGIN") == 2
    async with asyncio.timeout(20):
        while [one.name for one in (await TrustStore.open(api.kube)).trust.trusted] != ["second"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("accounts")
async def test_a_token_for_somebody_else_is_refused(api: Api, plane: ControlPlane) -> None:
    await make_pod(api, "buyer")
    _, status, text = await sign(api, plane, await token(api, "buyer", audience="vault"))
    assert (status, text[:6]) == (401, "ML451 ")


@pytest.mark.parametrize("bearer", ["", "nonsense", "a.b.c"])
async def test_without_a_real_token_nothing_is_signed(api: Api, plane: ControlPlane, bearer: str) -> None:
    _, status, text = await sign(api, plane, bearer)
    assert (status, text[:6]) == (401, "ML451 ")


@pytest.mark.usefixtures("accounts")
async def test_a_request_that_is_none_is_refused(api: Api, plane: ControlPlane) -> None:
    await make_pod(api, "buyer")
    headers = {"Authorization": f"Bearer {await token(api, 'buyer')}"}
    port = plane.ports.certificates
    status, text = await ask(api, port, "/v1/certificates", method="POST", data=b"hello", headers=headers)
    assert (status, text[:6]) == (400, "ML401 ")
    status, _ = await ask(api, port, "/v1/certificates", method="POST", data=b"x" * 20_000, headers=headers)
    assert status == 413


def review(namespace: str, obj: dict[str, Any]) -> dict[str, Any]:
    request = {"uid": "1-2-3", "namespace": namespace, "object": obj, "operation": "CREATE"}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


async def test_a_pod_of_a_meshed_namespace_gets_its_sidecar(api: Api, plane: ControlPlane) -> None:
    pod = {"metadata": {"generateName": "bookbuyer-"}, "spec": {"containers": [{"name": "a", "image": "meshlab:x"}]}}
    status, text = await ask(
        api, plane.ports.injector, "/mutate-pod-creation", method="POST", json=review("bookbuyer", pod)
    )
    assert status == 200, text
    patch = base64.b64decode(json.loads(text)["response"]["patch"]).decode()
    assert "meshlab.dataplane.envoy.sidecar" in patch


async def test_what_is_no_review_is_refused(api: Api, plane: ControlPlane) -> None:
    for body in (b"", b"[]", b'{"request": {}}', b"\xff"):
        status, _ = await ask(api, plane.ports.injector, "/mutate-pod-creation", method="POST", data=body)
        assert status == 400


async def test_a_bad_policy_is_refused_with_its_code(api: Api, plane: ControlPlane) -> None:
    split = {
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": "bookstore", "namespace": "bookstore"},
        "spec": {"service": "bookstore", "backends": [{"service": "bookstore-v1", "weight": -1}]},
    }
    _, text = await ask(api, plane.ports.validator, "/validate", method="POST", json=review("bookstore", split))
    response = json.loads(text)["response"]
    assert not response["allowed"]
    assert response["status"]["message"].startswith("ML2")
    assert "spec.backends[0].weight" in response["status"]["message"]


async def test_what_is_wrong_already_keeps_nobody_from_changing_something_else(api: Api, plane: ControlPlane) -> None:
    def config(*ranges: str, **traffic: Any) -> dict[str, Any]:
        metadata = {"name": "meshlab-mesh-config", "namespace": "meshlab-system"}
        spec = {"traffic": {"outboundIPRangeExclusionList": list(ranges), **traffic}}
        version = "config.openservicemesh.io/v1alpha2"
        return {"apiVersion": version, "kind": "MeshConfig", "metadata": metadata, "spec": spec}

    async def judged(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
        asked = review("meshlab-system", new)
        asked["request"] |= {"operation": "UPDATE", "oldObject": old}
        _, text = await ask(api, plane.ports.validator, "/validate", method="POST", json=asked)
        return dict(json.loads(text)["response"])

    wrong = config("10.0.0.1/8")
    assert not (await judged(wrong, config()))["allowed"]
    other = await judged(config("10.0.0.1/8", enableEgress=True), wrong)
    assert other["allowed"]
    assert "ML273" in other["warnings"][0]
    assert not (await judged(config("10.0.0.1/8", "10.1.1.1/8"), wrong))["allowed"]


async def test_only_the_api_server_may_look(api: Api, plane: ControlPlane) -> None:
    path = "/apis/observe.meshlab.dev/v1alpha1/edges"
    assert (await ask(api, plane.ports.observe, path, headers={"X-Remote-User": "admin"}))[0] == 401
    await eventually_observed(api, plane)


async def eventually_observed(api: Api, plane: ControlPlane) -> None:
    """The API server's certificate is recognised as soon as its ConfigMap has been read."""
    async with asyncio.timeout(20):
        path = "/apis/observe.meshlab.dev/v1alpha1"
        while (await ask(api, plane.ports.observe, path, front_proxy=True))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_the_api_says_what_it_serves_and_the_mode_in_force(api: Api, plane: ControlPlane) -> None:
    await eventually_observed(api, plane)
    names = [resource["name"] for resource in (await observe(api, plane, ""))["resources"]]
    assert {"edges", "stream", "proxies", "receipts", "mesh", "configuration"} <= set(names)
    assert (await observe(api, plane, "/mesh"))["permissive"] is True
    assert (await observe(api, plane, "/edges?window=10"))["edges"] == []


@pytest.mark.parametrize(
    "path", ["/edges?window=no", "/edges?window=1e9", "/receipts", "/receipts?kind=A&name=b&wait=-1"]
)
async def test_a_question_that_makes_no_sense_is_answered_with_a_status(
    api: Api, plane: ControlPlane, path: str
) -> None:
    await eventually_observed(api, plane)
    port = plane.ports.observe
    status, text = await ask(api, port, f"/apis/observe.meshlab.dev/v1alpha1{path}", front_proxy=True)
    assert (status, json.loads(text)["reason"]) == (400, "BadRequest")


@pytest.mark.usefixtures("accounts")
async def test_traffic_metrics_lists_gets_and_refuses_as_kubernetes_does(api: Api, plane: ControlPlane) -> None:
    await eventually_observed(api, plane)
    await make_pod(api, "buyer")

    async def asked(path: str) -> dict[str, Any]:
        full = f"/apis/metrics.smi-spec.io/v1alpha1{path}"
        _, text = await ask(api, plane.ports.observe, full, front_proxy=True)
        return dict(json.loads(text))

    async with asyncio.timeout(20):
        while not (await asked("/pods/"))["items"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    names = {resource["name"]: resource["namespaced"] for resource in (await asked(""))["resources"]}
    assert (names["pods"], names["namespaces"], names["trafficsplits/edges"]) == (True, False, True)
    found = await asked("/namespaces/default/pods?labelSelector=app%3Dbuyer")
    assert (found["kind"], found["selector"]) == ("TrafficMetricsList", {"matchLabels": {"app": "buyer"}})
    assert found["resource"] == {"kind": "Pod", "apiVersion": "v1", "namespace": "default"}
    assert [item["resource"]["name"] for item in found["items"]] == ["buyer"]
    for path in ("/namespaces/other/pods", "/namespaces/default/pods?labelSelector=app==seller", "/deployments"):
        assert (await asked(path))["items"] == []
    assert (await asked("/namespaces/default/pods/buyer"))["kind"] == "TrafficMetrics"
    assert (await asked("/namespaces/default"))["resource"]["kind"] == "Namespace"
    assert (await asked("/namespaces/default/pods/buyer/edges"))["items"] == []
    for path, reason in (
        ("/namespaces/default/pods/seller", "NotFound"),
        ("/namespaces/nowhere/edges", "NotFound"),
        ("/nodes", "NotFound"),
        ("/pods?labelSelector=app!=buyer", "BadRequest"),
    ):
        assert (await asked(path))["reason"] == reason, path


class Proxy:
    """A proxy that takes everything it is told."""

    def __init__(self, node: str, types: tuple[str, ...], key: bytes, grant: Grant, port: int) -> None:
        self._node, self._types, self._port = node, types, port
        self._credentials = grpc.ssl_channel_credentials(grant.bundle.encode(), key, grant.chain.encode())
        self.held: dict[str, set[str]] = {}

    async def run(self) -> None:
        options = (("grpc.ssl_target_name_override", SERVER_NAME),)
        async with grpc.aio.secure_channel(f"127.0.0.1:{self._port}", self._credentials, options) as channel:
            call = channel.stream_stream(
                f"/{ADS}/DeltaAggregatedResources",
                request_serializer=DeltaDiscoveryRequest.SerializeToString,
                response_deserializer=DeltaDiscoveryResponse.FromString,
            )()
            for url in self._types:
                await call.write(DeltaDiscoveryRequest(node=Node(id=self._node), type_url=url))
            async for response in call:
                names = self.held.setdefault(response.type_url, set())
                names |= {resource.name for resource in response.resources}
                await call.write(DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce))


@pytest.mark.usefixtures("accounts")
async def test_a_change_reaches_the_proxy_and_its_receipt_says_so(
    api: Api, plane: ControlPlane, eventually: Eventually
) -> None:
    await eventually_observed(api, plane)
    await make_pod(api, "buyer")
    key, _, text = await sign(api, plane, await token(api, "buyer"))
    types = tuple(url for stage in plane.ads._stages for url in stage)
    proxy = Proxy("buyer.default", types, key, Grant.from_json(text.encode()), plane.ports.ads)
    stream = asyncio.create_task(proxy.run())
    try:
        await eventually(lambda: plane.ads.proxies["buyer.default"].settled >= 1, "the proxy has its configuration")
        running = {"containerStatuses": [{"name": "envoy", "state": {"running": {}}, **_REST_OF_A_STATUS}]}
        await api.kube.patch(POD, "buyer", {"status": running}, "default", subresource="status")
        split = await api.kube.apply(
            {
                "apiVersion": "split.smi-spec.io/v1alpha4",
                "kind": "TrafficSplit",
                "metadata": {"name": "bookstore", "namespace": "bookstore"},
                "spec": {"service": "bookstore", "backends": [{"service": "bookstore-v1", "weight": 1}]},
            }
        )
        version = split["metadata"]["resourceVersion"]
        question = f"kind=TrafficSplit&namespace=bookstore&name=bookstore&resourceVersion={version}"
        receipt = await observe(api, plane, f"/receipts?{question}")
        assert receipt["complete"], receipt
        (answer,) = receipt["proxies"]
        assert (answer["proxy"], answer["acknowledged"]) == ("default/buyer", True)
        (listed,) = (await observe(api, plane, "/proxies"))["items"]
        assert listed["connected"]
        assert listed["identity"] == "spiffe://cluster.local/ns/default/sa/default"
        assert listed["certificate"]["serial"]
    finally:
        stream.cancel()
        await asyncio.wait([stream])
