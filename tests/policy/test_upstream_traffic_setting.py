"""UpstreamTrafficSetting: what it says of a host, and what is found wrong with it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from envoy.type.v3.http_status_pb2 import StatusCode

from meshlab.kube import Object, load
from meshlab.mesh.service import ServiceName
from meshlab.mesh.upstream_setting import Limits, Rate, RequestRate
from meshlab.policy.osm import Osm
from meshlab.policy.osm.upstream_traffic_setting import ANSWERS

WHOLE = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: UpstreamTrafficSetting
metadata: {name: prices, namespace: catalogue}
spec:
  host: price-list.catalogue.svc.cluster.local
  connectionSettings:
    tcp: {maxConnections: 3, connectTimeout: 2s}
    http: {maxRequests: 4, maxRequestsPerConnection: 5, maxPendingRequests: 6, maxRetries: 0}
  rateLimit:
    local:
      tcp: {connections: 7, unit: second, burst: 1}
      http: {requests: 8, unit: minute, responseStatusCode: 503, responseHeadersToAdd: [{name: x-why, value: busy}]}
  httpRoutes:
  - path: /prices/.*
    rateLimit: {local: {requests: 9, unit: hour}}
  - path: /free
"""


def setting(name: str = "prices", created: str | None = None, **spec) -> Object:
    metadata = {"name": name, "namespace": "catalogue"} | ({"creationTimestamp": created} if created else {})
    kind = {"apiVersion": "policy.openservicemesh.io/v1alpha1", "kind": "UpstreamTrafficSetting"}
    return kind | {"metadata": metadata, "spec": {"host": "price-list"} | spec}


def found(obj: Object, *others: Object) -> list[tuple[str, str]]:
    return [(finding.code, finding.field) for finding in Osm().validate(obj, others)]


def test_it_says_what_clients_send_at_a_time_and_at_which_rates_is_let_in():
    (read,) = Osm().read(load(WHOLE)).upstream_settings
    assert (read.name, read.service) == ("catalogue/prices", ServiceName("catalogue", "price-list"))
    assert read.limits == Limits(3, 6, 4, 0, 5, timedelta(seconds=2))
    assert read.rates.connections == Rate(7, 1, 1)
    assert read.rates.requests == RequestRate(Rate(8, 60), 503, (("x-why", "busy"),))
    assert read.rates.routes == (("/prices/.*", RequestRate(Rate(9, 3600))),)


@pytest.mark.parametrize(
    "host",
    [
        "price-list",
        "price-list.catalogue",
        "price-list.catalogue.svc",
        "price-list.catalogue.svc.cluster.local",
        "Price-List.catalogue.svc.cluster.local.",
    ],
)
def test_a_service_may_be_named_in_every_way(host):
    (read,) = Osm().read([setting(host=host)]).upstream_settings
    assert (read.host, read.service.name) == ("price-list.catalogue.svc.cluster.local", "price-list")


def test_what_is_left_out_limits_nothing():
    (read,) = Osm().read([setting()]).upstream_settings
    assert (read.limits, read.rates) == (None, None)


def test_of_two_settings_for_one_host_the_older_counts():
    older, younger = setting("b", "2026-01-01"), setting("a", "2026-01-02", host="price-list.catalogue")
    assert found(younger, older) == [("ML310", "spec.host")]
    assert found(older, younger) == []
    assert [read.name for read in Osm().read([younger, older]).upstream_settings] == ["catalogue/b"]


def test_what_is_yet_to_come_is_refused_though_its_name_comes_first():
    there, to_come = setting("b", "2026-01-01"), setting("a", "2026-01-01")
    assert found(to_come, there) == [("ML310", "spec.host")]
    assert [read.name for read in Osm().read([there, to_come]).upstream_settings] == ["catalogue/a"]


def test_a_service_of_another_namespace_is_set_there():
    assert found(setting(host="till.shopfront.svc.cluster.local")) == [("ML311", "spec.host")]
    till = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "till", "namespace": "shopfront"}}
    assert found(setting(host="till.shopfront"), till) == [("ML311", "spec.host")]


def test_a_service_that_is_not_there_yet_is_a_warning(service):
    assert found(setting(), service("price-list")) == []
    assert found(setting(), service("other")) == [("ML312", "spec.host")]
    assert Osm().read([setting(), service("other")]).upstream_settings != ()


def test_a_host_elsewhere_is_for_an_egress_that_names_the_setting():
    outside = setting(host="httpbin.org")
    egress = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "Egress",
        "metadata": {"name": "e", "namespace": "catalogue"},
        "spec": {
            "sources": [{"kind": "ServiceAccount", "name": "till", "namespace": "shopfront"}],
            "hosts": ["httpbin.org"],
            "ports": [{"number": 80, "protocol": "http"}],
            "matches": [
                {"apiGroup": "policy.openservicemesh.io/v1alpha1", "kind": "UpstreamTrafficSetting", "name": "prices"}
            ],
        },
    }
    assert found(outside) == [("ML312", "spec.host")]
    assert found(outside, egress) == []
    (read,) = Osm().read([outside]).upstream_settings
    assert (read.host, read.service) == ("httpbin.org", None)


@pytest.mark.parametrize("spec", [None, [], {"matches": 1}, {"matches": [1]}, {"host": {}}])
def test_others_of_no_sense_are_no_hindrance(spec):
    kind = {"apiVersion": "policy.openservicemesh.io/v1alpha1", "metadata": {"name": "e", "namespace": "catalogue"}}
    others = [kind | {"kind": name, "spec": spec} for name in ("Egress", "UpstreamTrafficSetting")]
    assert found(setting(host="httpbin.org"), *others) == [("ML312", "spec.host")]


@pytest.mark.parametrize(
    ("spec", "code", "field"),
    [
        ({"connectionSettings": {"tcp": {"maxConnections": 0}}}, "ML210", "connectionSettings.tcp.maxConnections"),
        ({"connectionSettings": {"tcp": {"connectTimeout": "5"}}}, "ML313", "connectionSettings.tcp.connectTimeout"),
        ({"connectionSettings": {"tcp": {"connectTimeout": "48h"}}}, "ML313", "connectionSettings.tcp.connectTimeout"),
        ({"rateLimit": {"local": {"tcp": {"connections": 1, "unit": "day"}}}}, "ML210", "rateLimit.local.tcp.unit"),
        ({"rateLimit": {"local": {"http": {"requests": 1}}}}, "ML210", "rateLimit.local.http.unit"),
        ({"httpRoutes": [{"path": "/(a"}]}, "ML232", "httpRoutes[0].path"),
    ],
)
def test_what_means_nothing_is_refused_by_its_field(spec, code, field):
    assert found(setting(**spec)) == [(code, f"spec.{field}")]


@pytest.mark.parametrize(
    ("answer", "code", "field"),
    [
        ({"responseStatusCode": 200}, "ML210", "responseStatusCode"),
        ({"responseStatusCode": 499}, "ML314", "responseStatusCode"),
        ({"responseHeadersToAdd": [{"name": "a b", "value": "c"}]}, "ML236", "responseHeadersToAdd[0].name"),
        ({"responseHeadersToAdd": [{"name": "a", "value": "b\nc"}]}, "ML236", "responseHeadersToAdd[0].value"),
    ],
)
def test_an_answer_that_proxies_cant_give_is_refused(answer, code, field):
    rate = {"requests": 1, "unit": "hour"} | answer
    assert found(setting(rateLimit={"local": {"http": rate}})) == [(code, f"spec.rateLimit.local.http.{field}")]
    route = {"path": "/", "rateLimit": {"local": rate}}
    assert found(setting(httpRoutes=[route])) == [(code, f"spec.httpRoutes[0].rateLimit.local.{field}")]


def test_every_status_that_is_let_in_is_one_that_envoy_knows():
    assert set(StatusCode.values()) >= ANSWERS
