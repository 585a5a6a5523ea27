"""Reading what passes on a wire."""

from __future__ import annotations

import ssl
import struct
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from meshlab.observe.wire import Reader, Segment, chosen_version, is_http, record, segment

CLIENT, SERVER = "10.0.0.2:40000", "10.0.0.3:14001"
ports, data = st.integers(1, 65535), st.binary(min_size=1, max_size=300)


def frame(payload, source=(10, 0, 0, 2), destination=(10, 0, 0, 3), ports=(40000, 14001), sequence=7, **odd):
    tcp = struct.pack("!HHIIBBHHH", *ports, sequence, 0, (5 + len(odd.get("options", b"")) // 4) << 4, 24, 512, 0, 0)
    tcp += odd.get("options", b"") + payload
    total = 20 + len(tcp)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, total, 0, odd.get("fragment", 0x4000), 64, odd.get("protocol", 6), 0)
    ethernet = bytes(12) + struct.pack("!H", odd.get("ethertype", 0x0800))
    return ethernet + ip + bytes(source) + bytes(destination) + tcp + odd.get("padding", b"")


@given(data, st.tuples(ports, ports), st.integers(0, 2**32 - 1), st.sampled_from([b"", b"\x01" * 12]), st.binary())
def test_a_segment_is_found_in_its_frame(payload, ends, sequence, options, padding):
    found = segment(frame(payload, ports=ends, sequence=sequence, options=options, padding=padding))
    assert found == Segment(f"10.0.0.2:{ends[0]}", f"10.0.0.3:{ends[1]}", sequence, payload)


@pytest.mark.parametrize("odd", [{"ethertype": 0x86DD}, {"protocol": 17}, {"fragment": 0x2000}])
def test_what_is_no_segment_is_passed_over(odd):
    assert segment(frame(b"data", **odd)) is None
    assert segment(frame(b"")) is None


@given(st.binary(max_size=200), st.integers(0, 80))
def test_no_bytes_are_too_strange(noise, kept):
    segment(noise)
    segment(frame(noise)[:kept])
    record(noise)
    chosen_version(b"\x16\x03\x03\x00\x40\x02" + noise)
    Reader().verdict(Segment(CLIENT, SERVER, 1, noise or b"\0"))


@pytest.fixture(scope="module")
def handshake(tmp_path_factory):
    """What passes when TLS connections are made, in turns: by version, who speaks and what."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = tmp_path_factory.mktemp("tls") / "pem"
    unprotected = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unprotected)
    pem.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def shake(version):
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        server.load_cert_chain(pem)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.maximum_version = version
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
        said = []
        for turn in range(6):
            try:
                ends[turn % 2].do_handshake()
                ends[turn % 2].write(b"secret" * 40)
            except ssl.SSLWantReadError:
                pass
            wire = (up, down)[turn % 2]
            if heard := wire.read():
                said.append((turn % 2, heard))
                wire.write(heard)
        return said

    return {"1.2": shake(ssl.TLSVersion.TLSv1_2), "1.3": shake(ssl.TLSVersion.TLSv1_3)}


def verdicts(said, size):
    """What the reader says of a conversation that is cut into segments of a size."""
    reader, sequence, found = Reader(), [1, 1], []
    for speaker, text in said:
        ends = (CLIENT, SERVER) if speaker == 0 else (SERVER, CLIENT)
        for begin, end in pairwise([*range(0, len(text), size), len(text)]):
            found.append(reader.verdict(Segment(*ends, sequence[speaker], text[begin:end])))
            sequence[speaker] += end - begin
    return found


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("size", [5000, 700])
def test_a_handshake_tells_the_version_and_every_segment_is_known_for_tls(handshake, version, size):
    found = verdicts(handshake[version], size)
    assert found[0] == "TLS record (client hello)"
    assert f"TLS {version} record (server hello)" in found
    assert all(verdict.startswith(f"TLS {version} record") for verdict in found[1:])
    assert any("application data" in verdict for verdict in found)


@given(st.integers(700, 3000))
def test_records_are_followed_however_they_are_cut(handshake, size):
    assert all(verdict.startswith("TLS ") for verdict in verdicts(handshake["1.3"], size))


def test_a_record_that_is_not_heard_from_its_beginning_is_unknown():
    reader = Reader()
    assert reader.verdict(Segment(CLIENT, SERVER, 1, b"\x99" * 50)) == "unknown bytes"
    assert reader.verdict(Segment(CLIENT, SERVER, 51, b"\x17\x03\x03\x00\x10" + b"x" * 16)).startswith("TLS record")


@pytest.mark.parametrize(
    ("head", "plain"),
    [
        (b"GET /books-bought HTTP/1.1\r\nhost: a\r\n", True),
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", True),
        (b"GET me out of here", False),
        (b"\x16\x03\x01", False),
    ],
)
def test_plain_http_is_known_by_its_head(head, plain):
    assert is_http(head) is plain


def test_a_body_is_plain_because_its_head_was():
    reader = Reader()
    assert reader.verdict(Segment(CLIENT, SERVER, 1, b"POST /a HTTP/1.1\r\n\r\n")) == "plain HTTP"
    assert reader.verdict(Segment(CLIENT, SERVER, 21, b"\x00\x01body")) == "plain HTTP"
    assert reader.verdict(Segment(SERVER, CLIENT, 9, b"anything")) == "plain HTTP"
    assert reader.verdict(Segment("10.0.0.9:1", SERVER, 9, b"anything")) == "unknown bytes"
