"""Limits, rates and retries concern the clusters, ports and clients they speak of, and nobody else."""

from __future__ import annotations

from dataclasses import replace

from meshlab.mesh.identity import Identity
from meshlab.mesh.project import project
from meshlab.mesh.proxy_settings import ProxySettings, Tls
from meshlab.mesh.retry import Retry, RetryPolicy
from meshlab.mesh.service import ServiceName, Workload
from meshlab.mesh.upstream_setting import Limits, Rate, Rates, UpstreamSetting
from meshlab.mesh.view import ProxyView
from meshlab.mesh.world import World

STORE, V1 = ServiceName("bookstore", "bookstore"), ServiceName("bookstore", "bookstore-v1")
LIMITS, RATES = Limits(connections=1), Rates("bookstore/few", connections=Rate(1, 60))


def view(world: World, name: str, namespace: str = "bookstore") -> ProxyView:
    workload: Workload = world.workload_by_name[namespace, name]
    return project(world, workload)


def limited(world: World, service: ServiceName) -> World:
    setting = UpstreamSetting("bookstore/few", service.fqdn, service, LIMITS, RATES)
    return replace(world, upstream_settings=(setting,))


def test_clients_keep_to_the_limits_of_the_service_they_send_to(world):
    clusters = view(limited(world, V1), "buyer-a", "bookbuyer").clusters
    assert {cluster.upstream.service for cluster in clusters if cluster.limits == LIMITS} == {V1}
    assert {cluster.limits for cluster in clusters} == {LIMITS, None}


def test_a_port_tells_services_with_a_rate_from_those_without(world):
    (port,) = view(limited(world, V1), "v1-a").inbound
    assert {rates: {item.service for item in upstreams} for rates, upstreams in port.by_rates().items()} == {
        RATES: {V1},
        None: {upstream.service for upstream in port.upstreams} - {V1},
    }
    (other,) = view(limited(world, V1), "v2-a").inbound
    assert set(other.by_rates()) == {None}


def test_a_setting_for_a_host_elsewhere_concerns_no_service(world):
    elsewhere = UpstreamSetting("bookstore/few", "example.org", None, LIMITS, RATES)
    with_it = replace(world, upstream_settings=(elsewhere,))
    assert view(with_it, "v1-a") == view(world, "v1-a")


def test_only_the_named_clients_calls_to_the_named_services_are_made_again(world):
    policy = RetryPolicy(("5xx",), 3)
    retry = Retry("bookbuyer/patient", Identity("bookbuyer", "bookbuyer"), (STORE,), policy)
    patient = replace(world, retries=(retry,))
    retried = {item.upstream.service for item in view(patient, "buyer-a", "bookbuyer").outbound if item.retry}
    assert retried == {STORE}
    assert view(patient, "v1-a").outbound is view(world, "v1-a").outbound
    assert view(patient, "buyer-a", "bookbuyer").outbound is view(patient, "buyer-a", "bookbuyer").outbound


def test_every_proxy_is_told_the_settings_of_all(world):
    settings = ProxySettings(Tls("TLSv1_3"))
    assert view(replace(world, proxies=settings), "v1-a").settings == settings
