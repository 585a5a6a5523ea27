"""Which connections of a pod does the kernel bring to its proxy, and which go past it?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshlab.dataplane import SidecarSettings
from meshlab.dataplane.envoy.exclusions import of_pod
from meshlab.dataplane.envoy.inject import inject
from meshlab.dataplane.envoy.intercept import arguments, parse
from meshlab.dataplane.envoy.iptables import for_restore
from meshlab.dataplane.envoy.redirection import BY_USER, Proxy, redirection
from meshlab.errors import DataPlaneError
from meshlab.mesh.settings import Exclusions
from meshlab.nft import Mark

EVERY_KIND = Exclusions((22, 80), (3306,), ("10.0.0.0/8",), ("10.96.0.0/12", "10.244.0.0/16"), ("net1",))
SETTINGS = SidecarSettings(image="meshlab:1", controller="10.96.0.5", ca_bundle="PEM", explicit=False)


def pod(**annotations: str) -> dict[str, Any]:
    marks = {f"openservicemesh.io/{name.replace('_', '-')}": text for name, text in annotations.items()}
    return {"metadata": {"annotations": marks}, "spec": {"containers": [{"name": "app"}]}}


def rules(chain: str, exclusions: Exclusions, proxy: Proxy = BY_USER) -> list[str]:
    start, text = f"-A {chain} ", for_restore(redirection(exclusions, proxy))
    return [line.removeprefix(start) for line in text.splitlines() if line.startswith(start)]


def test_everything_that_comes_in_is_redirected_but_for_probes_and_metrics():
    *past, last = rules("OSM_PROXY_INBOUND", Exclusions())
    assert past == [f"-p tcp --dport {port} -j RETURN" for port in (15010, 15901, 15902, 15903, 15904)]
    assert last == "-p tcp -j OSM_PROXY_IN_REDIRECT"
    assert rules("OSM_PROXY_IN_REDIRECT", Exclusions()) == ["-p tcp -j REDIRECT --to-ports 15003"]


def test_everything_that_goes_out_is_redirected_but_for_the_proxys_own_and_the_pods_talk_with_itself():
    assert rules("OSM_PROXY_OUTBOUND", Exclusions()) == [
        "-o lo ! -d 127.0.0.1/32 -m owner --uid-owner 1500 -j OSM_PROXY_IN_REDIRECT",
        "-o lo -m owner ! --uid-owner 1500 -j RETURN",
        "-m owner --uid-owner 1500 -j RETURN",
        "-d 127.0.0.1/32 -j RETURN",
        "-j OSM_PROXY_OUT_REDIRECT",
    ]
    assert rules("OSM_PROXY_OUT_REDIRECT", Exclusions()) == ["-p tcp -j REDIRECT --to-ports 15001"]


def test_where_all_of_a_pod_runs_as_one_user_the_proxy_is_known_by_its_mark():
    by_user, by_mark = rules("OSM_PROXY_OUTBOUND", EVERY_KIND), rules("OSM_PROXY_OUTBOUND", EVERY_KIND, Mark(1337))
    assert [rule.replace("owner", "mark").replace("--uid-mark 1500", "--mark 1337") for rule in by_user] == by_mark
    assert "-m mark --mark 1337 -j RETURN" in by_mark


def test_exclusions_come_in_osms_order():
    assert rules("OSM_PROXY_OUTBOUND", EVERY_KIND)[4:] == [
        "-o net1 -j RETURN",
        "-d 10.0.0.0/8 -j RETURN",
        "-p tcp --dport 3306 -j RETURN",
        "-d 10.96.0.0/12 -j OSM_PROXY_OUT_REDIRECT",
        "-d 10.244.0.0/16 -j OSM_PROXY_OUT_REDIRECT",
        "-j RETURN",
    ]
    assert rules("OSM_PROXY_INBOUND", EVERY_KIND)[0] == "-i net1 -j RETURN"
    assert "-p tcp --dport 80 -j RETURN" in rules("OSM_PROXY_INBOUND", EVERY_KIND)


@pytest.mark.parametrize("exclusions", [Exclusions(), EVERY_KIND])
def test_the_command_line_carries_every_list(exclusions: Exclusions):
    assert parse(arguments(exclusions)) == (exclusions, BY_USER)
    assert parse(arguments(exclusions, proxy_mark=1337)) == (exclusions, Mark(1337))


def test_annotations_add_to_what_goes_past_every_proxy():
    annotated = pod(
        outbound_port_exclusion_list="3306, 5432",
        inbound_port_exclusion_list="22",
        outbound_ip_range_exclusion_list="10.1.0.0/16",
        outbound_ip_range_inclusion_list="10.96.0.0/12,",
        network_interface_exclusion_list="net1",
    )
    found = of_pod(annotated, Exclusions(outbound_ports=(3306, 6379), outbound_ranges=("10.2.0.0/16",)))
    assert found == Exclusions(
        (22,), (3306, 6379, 5432), ("10.2.0.0/16", "10.1.0.0/16"), ("10.96.0.0/12",), ("net1",)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("outbound_port_exclusion_list", "http"),
        ("inbound_port_exclusion_list", "0"),
        ("inbound_port_exclusion_list", "65536"),
        ("outbound_ip_range_exclusion_list", "10.0.0.1/8"),
        ("outbound_ip_range_inclusion_list", "-j ACCEPT"),
        ("network_interface_exclusion_list", "eth0 -j ACCEPT"),
    ],
)
def test_a_list_that_can_not_be_read_is_refused(annotation: str, text: str):
    with pytest.raises(DataPlaneError, match="ML354"):
        of_pod(pod(**{annotation: text}), Exclusions())


def test_the_rules_are_laid_before_anything_else_of_the_pod_starts_and_with_one_capability():
    annotated = pod(outbound_port_exclusion_list="3306")
    annotated["spec"]["initContainers"] = [{"name": "migrate"}]
    ours, _, own = inject(annotated, SETTINGS)["spec"]["initContainers"]
    assert own == {"name": "migrate"}
    assert (ours["name"], ours["image"], ours["args"]) == ("osm-init", "meshlab:1", ["--past-outbound-ports", "3306"])
    assert ours["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert not ours["securityContext"]["allowPrivilegeEscalation"]


@pytest.mark.parametrize("whole", [True, False])
def test_nobody_else_runs_as_the_proxys_user(whole: bool):
    disguised = pod()
    owner = disguised["spec"] if whole else disguised["spec"]["containers"][0]
    owner["securityContext"] = {"runAsUser": 1500}
    with pytest.raises(DataPlaneError, match="ML355"):
        inject(disguised, SETTINGS)
    assert inject(disguised, replace(SETTINGS, explicit=True)), "where nothing is redirected the user is of no account"
