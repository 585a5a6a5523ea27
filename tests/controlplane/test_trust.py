"""Where the mesh's authority comes from, and how another takes its place: a control plane beside an API server."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from meshlab.controlplane.serving import NAMESPACE
from meshlab.controlplane.trust_store import TrustStore
from meshlab.identity import CertificateAuthority, new_svid, verify
from meshlab.identity.cert_manager import CERTIFICATE_REQUEST
from meshlab.kube import Kube, Object, Reflector
from meshlab.kube.objects import MESH_ROOT_CERTIFICATE, MUTATING_WEBHOOK, SECRET
from meshlab.mesh.identity import Identity
from meshlab.mesh.root_certificate import Role, RootCertificate
from meshlab.policy.osm.mesh_root_certificate import write

if TYPE_CHECKING:
    from meshlab.controlplane.plane import ControlPlane
    from tests.controlplane.conftest import Api, Running

STORE = Identity("bookstore", "bookstore")
DENIES = "denies"


async def trust_of(api: Api) -> TrustStore:
    return await TrustStore.open(api.kube)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_signed_by(api: Api, *names: str) -> TrustStore:
    """Wait until these are trusted, of which the first signs."""

    async def reached() -> bool:
        trust = (await trust_of(api)).trust
        return (trust.signer.name, {one.name for one in trust.trusted}) == (names[0], set(names))

    await until(reached)
    return await trust_of(api)


async def until_told(api: Api, name: str, state: str, ready: str) -> str:
    """Wait until a MeshRootCertificate says so; its message."""

    async def condition() -> Object:
        found = await api.kube.get(MESH_ROOT_CERTIFICATE, name, NAMESPACE)
        status = found.get("status") or {"state": "", "conditions": [{"reason": ""}]}
        return {"state": status["state"], **status["conditions"][0]}

    async def reached() -> bool:
        said = await condition()
        return (said["state"], said["reason"]) == (state, ready)

    await until(reached)
    return str((await condition())["message"])


async def set_role(api: Api, name: str, role: Role) -> None:
    await api.kube.patch(MESH_ROOT_CERTIFICATE, name, {"spec": {"role": str(role)}}, NAMESPACE)


def secret(name: str, data: dict[str, bytes]) -> Object:
    encoded = {key: base64.b64encode(content).decode() for key, content in data.items()}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": encoded}


@pytest.mark.usefixtures("plane")
async def test_a_root_is_replaced_by_the_roles_of_two_mesh_root_certificates(api: Api) -> None:
    first = (await until_signed_by(api, "meshlab-root")).trust.signer
    await api.kube.create(write(RootCertificate("second", Role.PASSIVE, secret="second-ca")))
    await until_signed_by(api, "meshlab-root", "second")
    await set_role(api, "second", Role.ACTIVE)
    store = await until_signed_by(api, "second", "meshlab-root")
    svid = await new_svid(store.issuer, STORE)
    assert verify(svid.chain, store.trust.bundle) == STORE.spiffe_id()
    await set_role(api, "meshlab-root", Role.INACTIVE)
    store = await until_signed_by(api, "second")
    assert first.roots not in store.trust.bundle.decode()
    await until_told(api, "second", "issuing", "Settled")
    await until_told(api, "meshlab-root", "inactive", "Settled")
    written = (await api.kube.get(MUTATING_WEBHOOK, "meshlab-injector"))["webhooks"][0]["clientConfig"]["caBundle"]
    assert base64.b64decode(written) == store.trust.bundle


async def test_what_is_in_use_survives_that_its_secret_is_replaced_while_no_control_plane_runs(
    api: Api, running: Running
) -> None:
    async with running(api.kube):
        old = (await trust_of(api)).trust.signer
    brought = secret("meshlab-ca", CertificateAuthority.create().to_secret())
    await api.kube.delete(SECRET, "meshlab-ca", NAMESPACE)
    await api.kube.create(brought)
    assert (await trust_of(api)).trust.signer == old
    async with running(api.kube):

        async def replaced() -> bool:
            return (await trust_of(api)).trust.signer != old

        await until(replaced)
    found = (await trust_of(api)).trust.signer
    assert base64.b64encode(found.certificate.encode()).decode() == brought["data"]["tls.crt"]


async def test_what_happens_to_its_secrets_changes_nothing(api: Api, plane: ControlPlane) -> None:
    before = (await trust_of(api)).trust
    for name in ("meshlab-ca", "meshlab-trust"):

        async def is_back(name: str = name) -> bool:
            return await api.kube.find(SECRET, name, NAMESPACE) is not None

        await api.kube.delete(SECRET, name, NAMESPACE)
        await until(is_back)
    await api.kube.patch(SECRET, "meshlab-ca", {"data": {"tls.key": base64.b64encode(b"no key").decode()}}, NAMESPACE)
    assert "Secret meshlab-system/meshlab-ca" in await until_told(api, "meshlab-root", "issuing", "Error")
    assert (await trust_of(api)).trust == before
    assert all(plane.conditions().values())


async def test_an_intermediate_of_a_companys_root_is_brought_in_a_secret(api: Api, running: Running) -> None:
    root, data = intermediate()
    await api.kube.create(secret("company-ca", data))
    await api.kube.create(write(RootCertificate("company", secret="company-ca")))
    async with running(api.kube):
        store = await until_signed_by(api, "company")
        assert store.trust.bundle == root
        assert verify((await new_svid(store.issuer, STORE)).chain, root) == STORE.spiffe_id()


async def test_cert_manager_signs_for_all_where_its_issuer_is_named(api: Api, running: Running) -> None:
    async with cert_manager(api.kube) as requests, running(api.kube):
        await api.kube.create(cert_manager_root(DENIES))
        assert "not here" in await until_told(api, DENIES, "error", "Error")
        await api.kube.delete(MESH_ROOT_CERTIFICATE, DENIES, NAMESPACE)
        await api.kube.create(cert_manager_root("company"))
        await set_role(api, "meshlab-root", Role.INACTIVE)
        store = await until_signed_by(api, "company")
        svid = await new_svid(store.issuer, STORE, lifetime=timedelta(hours=2))
        assert verify(svid.chain, store.trust.bundle) == STORE.spiffe_id()
        assert requests[-1]["spec"]["issuerRef"] == {"name": "company", "kind": "Issuer", "group": "cert-manager.io"}
        assert requests[-1]["spec"]["duration"] == "7200s"
        assert await api.kube.list(CERTIFICATE_REQUEST, NAMESPACE) == [], "what was answered is taken away"


def cert_manager_root(name: str) -> Object:
    root = write(RootCertificate(name))
    root["spec"]["provider"] = {"certManager": {"issuerName": name}}
    return root


def intermediate() -> tuple[bytes, dict[str, bytes]]:
    """A company's root, and a Secret's data of an authority below it."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    made, now = [], datetime.now(UTC)
    for name, key in zip(("company", "mesh"), keys, strict=True):
        certificate = (
            x509.CertificateBuilder(
                issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "company")]),
                subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
                public_key=key.public_key(),
                serial_number=x509.random_serial_number(),
                not_valid_before=now - timedelta(minutes=5),
                not_valid_after=now + timedelta(days=30),
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(keys[0], hashes.SHA256())
        )
        made.append(certificate.public_bytes(Encoding.PEM))
    key_pem = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made[0], {"tls.crt": made[1], "tls.key": key_pem, "ca.crt": made[0]}


@asynccontextmanager
async def cert_manager(kube: Kube) -> AsyncIterator[list[Object]]:
    """Plays cert-manager: its kind, and a signer that signs what a request says, with a root of its own."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"kind": "CertificateRequest", "plural": "certificaterequests", "singular": "certificaterequest"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    await kube.create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "certificaterequests.cert-manager.io"},
            "spec": {
                "group": "cert-manager.io",
                "scope": "Namespaced",
                "names": names,
                "versions": [{**version, "subresources": {"status": {}}}],
            },
        }
    )
    seen: list[Object] = []
    signing = asyncio.create_task(_sign(kube, seen))
    try:
        yield seen
    finally:
        signing.cancel()


async def _sign(kube: Kube, seen: list[Object]) -> None:
    ca = CertificateAuthority.create()
    async for change in Reflector(kube, CERTIFICATE_REQUEST, NAMESPACE).changes():
        if change.type != "ADDED":
            continue
        seen.append(change.object)
        request = base64.b64decode(change.object["spec"]["request"])
        said = x509.load_pem_x509_csr(request).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        identity = Identity.from_spiffe_id(said.get_values_for_type(x509.UniformResourceIdentifier)[0])
        assert identity
        chain = await ca.issue(request, identity, names=said.get_values_for_type(x509.DNSName))
        status: dict[str, Any] = {
            "certificate": base64.b64encode(chain).decode(),
            "ca": base64.b64encode(await ca.bundle()).decode(),
        }
        if change.object["spec"]["issuerRef"]["name"] == DENIES:
            status = {"conditions": [{"type": "Denied", "status": "True", "reason": "Policy", "message": "not here"}]}
        name = change.object["metadata"]["name"]
        await kube.patch(CERTIFICATE_REQUEST, name, {"status": status}, NAMESPACE, subresource="status")
