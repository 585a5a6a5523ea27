"""MeshRootCertificates: which authorities are wanted, and which sets of them make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from meshlab.kube import Object
from meshlab.mesh.root_certificate import Role, RootCertificate
from meshlab.policy.osm import Osm

KEY_PAIR = {"tresor": {"ca": {"secretRef": {"name": "meshlab-ca", "namespace": "meshlab-system"}}}}


def mrc(name: str, role: str = "", *, provider: Any = KEY_PAIR, age: int = 0, **more: Any) -> Object:
    return {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshRootCertificate",
        "metadata": {
            "name": name,
            "namespace": more.pop("namespace", "meshlab-system"),
            "creationTimestamp": f"2026-01-01T00:00:{10 - age:02}Z",
        },
        "spec": {"provider": provider, **({"role": role} if role else {}), **more},
    }


def codes(*objects: Object) -> list[tuple[str, str]]:
    return [(finding.code, finding.field) for finding in Osm().read(objects).findings]


def test_osms_own_is_an_active_one_with_a_key_pair():
    (root,) = Osm().read([mrc("osm-mesh-root-certificate")]).roots
    assert root == RootCertificate("osm-mesh-root-certificate", Role.ACTIVE, "cluster.local", secret="meshlab-ca")


def test_they_are_read_oldest_first():
    roots = Osm().read([mrc("new", "active"), mrc("old", "passive", age=5)]).roots
    assert [(root.name, root.role) for root in roots] == [("old", "passive"), ("new", "active")]


def test_an_issuer_of_cert_manager_is_named_as_in_osm():
    provider = {"certManager": {"issuerName": "company", "issuerKind": "ClusterIssuer"}}
    (root,) = Osm().read([mrc("company", provider=provider)]).roots
    assert root.cert_manager == ("company", "ClusterIssuer", "cert-manager.io")


@pytest.mark.parametrize(
    "roles",
    [("active",), ("active", "passive"), ("active", "active"), ("passive", "active"), ("inactive", "active")],
    ids=" / ".join,
)
def test_every_step_of_a_rotation_is_sound(roles: tuple[str, ...]):
    assert codes(*(mrc(f"root-{number}", role, age=9 - number) for number, role in enumerate(roles))) == []


@pytest.mark.parametrize(
    ("objects", "code", "field"),
    [
        ([mrc("one", "passive")], "ML413", "spec.role"),
        ([mrc("one", "inactive")], "ML413", "spec.role"),
        ([mrc("one"), mrc("two"), mrc("three", "passive")], "ML413", "spec.role"),
        ([mrc("one"), mrc("two", "passive", trustDomain="other.example")], "ML414", "spec.trustDomain"),
        ([mrc("one", provider={})], "ML412", "spec.provider"),
        ([mrc("one", provider={**KEY_PAIR, "certManager": {"issuerName": "x"}})], "ML412", "spec.provider"),
        ([mrc("one", provider={"vault": {"host": "vault"}})], "ML412", "spec.provider.vault"),
        ([mrc("one", namespace="elsewhere")], "ML411", "metadata.namespace"),
        ([mrc("one", "main")], "ML210", "spec.role"),
    ],
)
def test_what_makes_no_sense_is_said_where_it_stands(objects: list[Object], code: str, field: str):
    assert set(codes(*objects)) == {(code, field)}


def test_one_that_is_wrong_states_nothing():
    assert Osm().read([mrc("one", provider={"vault": {}})]).roots == ()


def test_to_make_the_last_active_one_passive_is_refused():
    findings = Osm().validate(mrc("one", "passive"), [mrc("one", "active"), mrc("two", "passive")])
    assert [finding.code for finding in findings] == ["ML413"]
