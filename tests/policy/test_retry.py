"""Retry: whose calls are made again, and what is found wrong with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshlab.kube import Object
from meshlab.mesh.identity import Identity
from meshlab.mesh.retry import Retry, RetryPolicy
from meshlab.mesh.service import ServiceName
from meshlab.policy.osm import Osm

ACCOUNT = {"kind": "ServiceAccount", "name": "till", "namespace": "shopfront"}
SERVICE = {"kind": "Service", "name": "price-list", "namespace": "catalogue"}


def retry(name: str = "patient", created: str | None = None, policy=None, **spec) -> Object:
    metadata = {"name": name, "namespace": "shopfront"} | ({"creationTimestamp": created} if created else {})
    whole = {"source": ACCOUNT, "destinations": [SERVICE], "retryPolicy": {"retryOn": "5xx"} | (policy or {})}
    kind = {"apiVersion": "policy.openservicemesh.io/v1alpha1", "kind": "Retry"}
    return kind | {"metadata": metadata, "spec": whole | spec}


def mesh_config(*, on: bool) -> Object:
    return {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "meshlab-mesh-config", "namespace": "meshlab-system"},
        "spec": {"featureFlags": {"enableRetryPolicy": on}},
    }


def found(obj: Object, *others: Object) -> list[tuple[str, str]]:
    return [(finding.code, finding.field) for finding in Osm().validate(obj, others)]


def test_it_says_whose_calls_where_and_how():
    policy = {
        "retryOn": "5xx, reset",
        "numRetries": 3,
        "perTryTimeout": "2s",
        "retryBackoffBaseInterval": "50ms",
    }
    assert Osm().read([retry(policy=policy)]).retries == (
        Retry(
            "shopfront/patient",
            Identity("shopfront", "till"),
            (ServiceName("catalogue", "price-list"),),
            RetryPolicy(("5xx", "reset"), 3, timedelta(seconds=2), timedelta(milliseconds=50)),
        ),
    )


def test_what_is_left_out_is_as_in_osm():
    (read,) = Osm().read([retry()]).retries
    assert read.policy == RetryPolicy(("5xx",), 1, timedelta(), timedelta(milliseconds=25))


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"source": ACCOUNT | {"kind": "User"}}, "ML223", "source.kind"),
        ({"destinations": [SERVICE | {"kind": "Pod"}]}, "ML321", "destinations[0].kind"),
        ({"policy": {"retryOn": "6xx"}}, "ML320", "retryPolicy.retryOn"),
        ({"policy": {"retryOn": " , "}}, "ML320", "retryPolicy.retryOn"),
        ({"policy": {"perTryTimeout": "soon"}}, "ML313", "retryPolicy.perTryTimeout"),
        ({"policy": {"retryBackoffBaseInterval": "1us"}}, "ML313", "retryPolicy.retryBackoffBaseInterval"),
        ({"policy": {"numRetries": -1}}, "ML210", "retryPolicy.numRetries"),
    ],
)
def test_what_means_nothing_is_refused_by_its_field(wrong, code, field):
    assert found(retry(**wrong)) == [(code, f"spec.{field}")]


def test_of_two_for_the_same_calls_the_older_counts():
    older, younger = retry("b", "2026-01-01"), retry("a", "2026-01-02")
    assert found(younger, older) == [("ML322", "spec.destinations[0]")]
    assert found(older, younger) == []
    assert [read.name for read in Osm().read([older, younger]).retries] == ["shopfront/b"]


@pytest.mark.parametrize("spec", [None, [], {"source": 1}, {"destinations": [{"name": {}, "namespace": []}]}])
def test_another_of_no_sense_is_no_hindrance(spec):
    wrong = retry("older", "2020-01-01") | (
        {"spec": spec if not isinstance(spec, dict) else {"source": ACCOUNT} | spec}
    )
    assert found(retry(), wrong) == []


def test_clients_and_services_that_are_not_there_are_warnings(service, account):
    assert found(retry(), service("other"), account("other", "shopfront")) == [
        ("ML225", "spec.source.name"),
        ("ML312", "spec.destinations[0].name"),
    ]


def test_a_flag_of_mesh_config_switches_retries_off_and_each_says_so():
    assert Osm().read([retry(), mesh_config(on=True)]).retries != ()
    assert Osm().read([retry(), mesh_config(on=False)]).retries == ()
    assert found(retry(), mesh_config(on=False)) == [("ML323", "spec")]
