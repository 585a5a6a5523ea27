"""Bodies in protobuf, as kubectl sends them."""

from __future__ import annotations

import pytest

from meshlab.cluster.embedded.apiserver.protobuf import MAGIC, decode
from meshlab.cluster.embedded.apiserver.status import StatusError


def text(number: int, value: str | bytes) -> bytes:
    """A field of bytes."""
    data = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(data)]) + data


def number(field: int, value: int) -> bytes:
    """A field of one small number."""
    return bytes([field << 3, value])


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + text(1, text(1, api_version) + text(2, kind)) + text(2, raw)


def test_empty_text_and_meaningless_zeros_are_left_out() -> None:
    metadata = text(1, "web") + text(2, "") + text(11, text(1, "app") + text(2, "web"))
    port = text(1, "") + number(3, 80) + text(4, number(1, 1) + number(2, 0) + text(3, "http")) + number(5, 0)
    found = decode(body("v1", "Service", text(1, metadata) + text(2, text(1, port) + number(13, 0)) + text(3, b"")))
    assert found == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"ports": [{"port": 80, "targetPort": "http"}]},
    }


def test_a_zero_that_means_something_is_kept() -> None:
    found = decode(body("apps/v1", "Deployment", text(2, number(1, 0) + number(7, 0))))
    assert found["spec"] == {"replicas": 0}


def test_what_json_has_beside_is_put_there_and_an_empty_message_says_something() -> None:
    folder = text(1, "work") + text(2, text(2, b""))
    probe = text(10, text(1, text(3, text(1, number(1, 0) + number(2, 80)))) + number(4, 9))
    found = decode(body("v1", "Pod", text(2, text(1, folder) + text(2, text(1, "app") + probe))))
    assert found["spec"] == {
        "volumes": [{"name": "work", "emptyDir": {}}],
        "containers": [{"name": "app", "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 9}}],
    }


def test_bytes_become_base64_and_negative_numbers_stay_negative() -> None:
    secret = decode(body("v1", "Secret", text(2, text(1, "key") + text(2, b"\x00\xff"))))
    assert secret["data"] == {"key": "AP8="}
    minus_one = bytes([1 << 3]) + b"\xff" * 9 + b"\x01"
    assert decode(body("v1", "DeleteOptions", minus_one))["gracePeriodSeconds"] == -1


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"{}", 400, "doesn't begin with"),
        (MAGIC + b"\x0a\xff", 400, "no Kubernetes protobuf"),
        (body("v1", "Namespace", b"\x0a\x7f"), 400, "ends early"),
        (body("v1", "Namespace", bytes([1 << 3 | 3])), 400, "wire type 3"),
        (body("v1", "Namespace", text(1, b"\x0a\x01\xff")), 400, "no Kubernetes protobuf"),
        (body("storage.k8s.io/v1", "StorageClass", b""), 415, "reads no StorageClass of storage.k8s.io/v1 in protobuf"),
        (body("v1", "Namespace", text(2, text(5, "new"))), 415, "reads no field 5 of NamespaceSpec in protobuf"),
    ],
)
def test_what_can_not_be_read_is_refused_and_never_dropped(data: bytes, code: int, message: str) -> None:
    with pytest.raises(StatusError, match=message) as refused:
        decode(data)
    assert refused.value.code == code
