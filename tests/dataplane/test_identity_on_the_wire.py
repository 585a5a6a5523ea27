"""A pod's identity is what its certificate says: looked at on the wire, from both ends."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from loopback_mesh import Mesh, Pod, call, call_on

from meshlab.dataplane.envoy import names
from meshlab.identity import CertificateAuthority, Svid, new_svid, verify
from meshlab.mesh.identity import Identity
from meshlab.mesh.service import ServiceName
from meshlab.mesh.view import Upstream

BUYER = Identity("bookbuyer", "bookbuyer")
SNI = Upstream(ServiceName("bookstore", "bookstore"), 14001).sni
URL = "http://bookstore.bookstore:14001/books-bought"


def context(folder: Path, bundle: bytes, svid: Svid | None, *protocols: str) -> ssl.SSLContext:
    result = ssl.create_default_context(cadata=bundle.decode())
    result.check_hostname = False  # the name in the certificate is a SPIFFE id, which is checked below
    result.set_alpn_protocols(list(protocols))
    if svid:
        (folder / "svid.pem").write_bytes(svid.key + svid.chain)
        result.load_cert_chain(folder / "svid.pem")
    return result


async def greet(pod: Pod, tls: ssl.SSLContext, sni: str = SNI) -> tuple[int, str]:
    """The status of one request over TLS to a pod's inbound port, and the SPIFFE id that the pod showed."""
    reader, writer = await asyncio.open_connection(pod.address, names.INBOUND_PORT, ssl=tls, server_hostname=sni)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        async with asyncio.timeout(5):
            answer = await call_on(reader, writer, URL, close=True)
        return answer.status, ssl.DER_cert_to_PEM_cert(shown)
    finally:
        writer.close()


REFUSED = (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)


async def test_both_ends_prove_their_spiffe_ids(bookshop: Mesh, tmp_path: Path):
    bundle, store = await bookshop.ca.bundle(), bookshop.pods["bookstore-v1"]
    tls = context(tmp_path, bundle, await new_svid(bookshop.ca, BUYER), "http/1.1", names.ALPN)
    status, shown = await greet(store, tls)
    assert status == 200
    assert verify(shown.encode(), bundle) == "spiffe://cluster.local/ns/bookstore/sa/bookstore"
    seen = store.requests[-1]["x-forwarded-client-cert"]
    assert "URI=spiffe://cluster.local/ns/bookbuyer/sa/bookbuyer" in seen
    assert "By=spiffe://cluster.local/ns/bookstore/sa/bookstore" in seen


async def test_the_app_is_told_the_caller_and_can_not_be_lied_to(bookshop: Mesh):
    lie = {"x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/bank/sa/vault"}
    await call(bookshop.pods["bookthief"].address, URL, headers=lie)
    requests = [request for pod in bookshop.pods.values() for request in pod.requests]
    assert "vault" not in requests[-1]["x-forwarded-client-cert"]
    assert "ns/bookthief/sa/bookthief" in requests[-1]["x-forwarded-client-cert"]


async def test_a_client_without_a_certificate_is_refused(bookshop: Mesh, tmp_path: Path):
    tls = context(tmp_path, await bookshop.ca.bundle(), None, "http/1.1", names.ALPN)
    with pytest.raises(REFUSED):
        await greet(bookshop.pods["bookstore-v1"], tls)


async def test_a_certificate_of_another_authority_is_refused(bookshop: Mesh, tmp_path: Path):
    svid = await new_svid(CertificateAuthority.create(), BUYER)
    tls = context(tmp_path, await bookshop.ca.bundle(), svid, "http/1.1", names.ALPN)
    with pytest.raises(REFUSED):
        await greet(bookshop.pods["bookstore-v1"], tls)


async def test_a_certificate_of_another_trust_domain_is_refused(bookshop: Mesh, tmp_path: Path):
    foreign = CertificateAuthority.from_secret(bookshop.ca.to_secret())
    foreign.trust_domain = "elsewhere.example"
    tls = context(tmp_path, await bookshop.ca.bundle(), await new_svid(foreign, BUYER), "http/1.1", names.ALPN)
    with pytest.raises(REFUSED):
        await greet(bookshop.pods["bookstore-v1"], tls)


async def test_a_name_of_a_service_the_pod_does_not_serve_is_refused(bookshop: Mesh, tmp_path: Path):
    svid = await new_svid(bookshop.ca, BUYER)
    tls = context(tmp_path, await bookshop.ca.bundle(), svid, "http/1.1", names.ALPN)
    with pytest.raises(REFUSED):
        await greet(bookshop.pods["bookstore-v1"], tls, SNI.replace("14001", "14002"))


async def test_plaintext_is_refused_in_permissive_mode_too(bookshop: Mesh):
    assert bookshop.permissive
    store = bookshop.pods["bookstore-v1"]
    reader, writer = await asyncio.open_connection(store.address, names.INBOUND_PORT)
    with pytest.raises(REFUSED):
        async with asyncio.timeout(5):
            await call_on(reader, writer, URL)
    writer.close()
    assert store.requests == []


async def test_a_client_refuses_a_server_of_the_wrong_identity(bookshop: Mesh):
    """Somebody else answers at the endpoint's address: the handshake ends on the client's side."""
    impostor = bookshop.pods["bookstore-v2"]
    identity = Identity("bookthief", "bookthief")
    bookshop.svids[impostor.workload.identity] = await new_svid(bookshop.ca, identity)
    bookshop.service("bookstore/bookstore", "bookstore-v2")
    await bookshop.push()
    assert (await call(bookshop.pods["bookbuyer"].address, URL)).status == 503
    assert impostor.requests == []
