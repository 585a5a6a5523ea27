"""SPDY frames survive the way to bytes and back, however the bytes are cut."""

from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlab.cluster.embedded.apiserver import spdy
from meshlab.cluster.embedded.apiserver.spdy_headers import DICTIONARY, HeaderReader, HeaderWriter

streams = st.integers(1, 2**31 - 1)
numbers = st.integers(0, 2**32 - 1)
names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
headers = st.dictionaries(names, st.text(max_size=40), max_size=6)
fins = st.booleans()
frames = st.one_of(
    st.builds(spdy.SynStream, streams, headers, fins),
    st.builds(spdy.SynReply, streams, headers, fins),
    st.builds(spdy.Headers, streams, headers, fins),
    st.builds(spdy.Data, streams, st.binary(max_size=200), fins),
    st.builds(spdy.Reset, streams, numbers),
    st.builds(spdy.Ping, numbers),
    st.builds(spdy.GoAway, streams, numbers),
    st.builds(spdy.Other, st.sampled_from([4, 9, 77]), st.binary(max_size=40)),
)


@given(st.lists(frames, max_size=8), st.integers(1, 50))
def test_frames_are_read_as_they_were_written_whatever_the_pieces(said, size):
    writer, reader = spdy.FrameWriter(), spdy.FrameReader()
    sent = b"".join(writer.bytes_of(frame) for frame in said)
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert [frame for piece in pieces for frame in reader.feed(piece)] == said


@given(st.binary(min_size=8, max_size=300))
def test_any_bytes_are_frames_or_an_error_and_nothing_else(noise):
    with contextlib.suppress(spdy.FramingError):
        list(spdy.FrameReader().feed(noise))


def test_the_dictionary_is_the_one_of_spdy_3():
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2
    assert HeaderWriter().block({})[2:6] == bytes.fromhex("e3c6a7c2")


def test_the_first_stream_of_kubectl_port_forward_is_understood():
    """As kubectl 1.32 sends it: an error stream for port 8080 of request 0."""
    said = {"streamtype": "error", "port": "8080", "requestid": "0"}
    block = HeaderWriter().block(said)
    head = bytes.fromhex("80030001") + (10 + len(block)).to_bytes(4, "big") + bytes.fromhex("00000001000000000000")
    assert list(spdy.FrameReader().feed(head + block)) == [spdy.SynStream(1, said)]


def test_header_names_are_lower_case_as_go_writes_them_in_any_case():
    assert HeaderReader().headers(HeaderWriter().block({"Port": "1"})) == {"port": "1"}


@pytest.mark.parametrize(
    "wrong",
    [
        bytes.fromhex("8002000100000000"),  # SPDY/2
        bytes.fromhex("8003000100ffffff"),  # a control frame of 16 MiB
        bytes.fromhex("8003000600000000"),  # a ping without its number
        bytes.fromhex("80030002000000080000000112345678"),  # headers that are not compressed
    ],
)
def test_what_is_no_spdy_is_refused(wrong):
    with pytest.raises(spdy.FramingError):
        list(spdy.FrameReader().feed(wrong))


def test_headers_that_would_fill_the_memory_are_refused():
    bomb = HeaderWriter().block({"a": "0" * 10_000_000})
    frame = spdy._control(1, bytes(10) + bomb)
    with pytest.raises(spdy.FramingError, match="too large"):
        list(spdy.FrameReader().feed(frame))
