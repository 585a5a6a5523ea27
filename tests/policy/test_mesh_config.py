"""MeshConfig: what has been set for the whole mesh, and what of OSM's settings has no effect."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshlab.kube import Object
from meshlab.mesh.proxy_settings import Collector, ExternalAuthorization, ProxySettings, Tls
from meshlab.mesh.settings import Exclusions, Settings
from meshlab.policy.osm import Osm
from meshlab.policy.osm.duration import duration


def mesh_config(name: str = "meshlab-mesh-config", **spec) -> Object:
    return {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": name, "namespace": "meshlab-system"},
        "spec": spec,
    }


def settings(obj: Object) -> Settings:
    read = Osm().read([obj]).settings
    assert read is not None
    return read


def found(obj: Object) -> list[tuple[str, str]]:
    return [(finding.code, finding.field) for finding in Osm().validate(obj, [])]


def test_without_a_mesh_config_nothing_is_open():
    assert Osm().read([]).settings == Settings(permissive=False, egress=False)


def test_what_is_left_out_keeps_its_default():
    assert settings(mesh_config()) == Settings()


def test_all_that_is_acted_on_is_read():
    obj = mesh_config(
        traffic={"enablePermissiveTrafficPolicyMode": True, "enableEgress": True},
        certificate={"serviceCertValidityDuration": "1h30m"},
        sidecar={"logLevel": "debug"},
        observability={"osmLogLevel": "trace"},
    )
    assert found(obj) == []
    assert settings(obj) == Settings(
        permissive=True, egress=True, certificate_validity=timedelta(minutes=90), proxy_log_level="debug",
        log_level="trace",
    )  # fmt: skip


def test_another_mesh_config_changes_nothing_and_says_so():
    obj = mesh_config("osm-mesh-config", traffic={"enableEgress": True})
    assert settings(obj) == Settings()
    assert found(obj) == [("ML270", "metadata.name")]


def test_a_setting_that_has_no_effect_is_named():
    obj = mesh_config(sidecar={"envoyImage": "a"}, featureFlags={"enableWASMStats": True})
    assert found(obj) == [
        ("ML271", "spec.sidecar.envoyImage"),
        ("ML271", "spec.featureFlags.enableWASMStats"),
    ]


@pytest.mark.parametrize("text", ["forever", "0s", "59s", "24", ""])
def test_a_wrong_validity_is_a_warning_and_leaves_every_other_setting_in_force(text):
    obj = mesh_config(
        traffic={"enablePermissiveTrafficPolicyMode": True}, certificate={"serviceCertValidityDuration": text}
    )
    assert found(obj) == [("ML272", "spec.certificate.serviceCertValidityDuration")]
    assert settings(obj) == Settings(permissive=True)


@pytest.mark.parametrize(
    ("text", "seconds"), [("24h", 86400), ("1h30m", 5400), ("500ms", 0.5), ("1.5s", 1.5), ("0s", 0), ("0", 0)]
)
def test_durations_are_written_as_in_go(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "h", "1 h", "-1h", "1d"])
def test_what_is_no_duration_is_none(text):
    assert duration(text) is None


def test_what_goes_past_the_proxy_is_read():
    obj = mesh_config(
        traffic={
            "inboundPortExclusionList": [22],
            "outboundPortExclusionList": [3306, 5432],
            "outboundIPRangeExclusionList": ["10.0.0.0/8"],
            "outboundIPRangeInclusionList": ["10.1.0.0/16"],
            "networkInterfaceExclusionList": ["net1"],
        }
    )
    assert found(obj) == []
    assert settings(obj).exclusions == Exclusions((22,), (3306, 5432), ("10.0.0.0/8",), ("10.1.0.0/16",), ("net1",))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "everything", "fd00::/8", ""])
def test_what_is_no_range_of_addresses_is_refused(text: str):
    obj = mesh_config(traffic={"outboundIPRangeExclusionList": [text]})
    assert found(obj) == [("ML273", "spec.traffic.outboundIPRangeExclusionList")]


def test_it_says_how_proxies_speak_whom_they_ask_and_whom_they_tell():
    obj = mesh_config(
        sidecar={"tlsMinProtocolVersion": "TLSv1_3", "maxDataPlaneConnections": 9, "ecdhCurves": ["X25519"]},
        traffic={
            "inboundExternalAuthorization": {
                "enable": True,
                "address": "opa.opa.svc.cluster.local",
                "port": 9191,
                "timeout": "2s",
                "failureModeAllow": True,
            }
        },
        observability={"tracing": {"enable": True, "address": "jaeger.tracing"}},
    )
    assert found(obj) == []
    said = settings(obj)
    assert said.most_proxies == 9
    assert said.proxies == ProxySettings(
        Tls("TLSv1_3", "TLSv1_3", curves=("X25519",)),
        ExternalAuthorization("opa.opa.svc.cluster.local", 9191, "", timedelta(seconds=2), allow_on_failure=True),
        Collector("jaeger.tracing", 9411, "/api/v2/spans"),
    )


def test_the_sidecars_resources_are_written_as_in_a_pod():
    resources = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": 1.5}}
    obj = mesh_config(sidecar={"resources": resources})
    assert found(obj) == []
    assert settings(obj).proxy_resources == resources
    for wrong in ({"cpu": "10m"}, {"limits": {"cpu": "much"}}, {"requests": 3}):
        (part,) = wrong
        assert found(mesh_config(sidecar={"resources": wrong})) == [("ML319", f"spec.sidecar.resources.{part}")]


def test_what_is_not_enabled_is_not_asked_or_told():
    obj = mesh_config(
        traffic={"inboundExternalAuthorization": {"enable": False, "address": "opa"}},
        observability={"tracing": {"address": "jaeger"}},
    )
    assert settings(obj).proxies == ProxySettings()


@pytest.mark.parametrize(
    ("spec", "code", "field"),
    [
        (
            {"sidecar": {"tlsMinProtocolVersion": "TLSv1_3", "tlsMaxProtocolVersion": "TLSv1_2"}},
            "ML315",
            "sidecar.tlsMaxProtocolVersion",
        ),
        ({"sidecar": {"cipherSuites": ["ROT13"]}}, "ML316", "sidecar.cipherSuites[0]"),
        (
            {"sidecar": {"tlsMaxProtocolVersion": "TLSv1_2", "cipherSuites": ["AES128-SHA"]}},
            "ML316",
            "sidecar.cipherSuites",
        ),
        ({"sidecar": {"ecdhCurves": ["P-1"]}}, "ML316", "sidecar.ecdhCurves[0]"),
        ({"sidecar": {"tlsMaxProtocolVersion": "TLSv1_2", "ecdhCurves": ["P-384"]}}, "ML316", "sidecar.ecdhCurves"),
        (
            {"traffic": {"inboundExternalAuthorization": {"enable": True, "port": 1}}},
            "ML317",
            "traffic.inboundExternalAuthorization.address",
        ),
        (
            {"traffic": {"inboundExternalAuthorization": {"enable": True, "address": "a", "port": 1, "timeout": "x"}}},
            "ML313",
            "traffic.inboundExternalAuthorization.timeout",
        ),
        ({"observability": {"tracing": {"enable": True}}}, "ML317", "observability.tracing.address"),
        ({"observability": {"tracing": {"endpoint": "spans"}}}, "ML317", "observability.tracing.endpoint"),
    ],
)
def test_what_would_part_the_proxies_from_each_other_is_refused(spec, code, field):
    assert (code, f"spec.{field}") in found(mesh_config(**spec))
    assert settings(mesh_config(**spec)).proxies == ProxySettings()
