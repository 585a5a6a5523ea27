"""The part of MeshConfig that every proxy is told of: TLS, external authorization, tracing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from meshlab.mesh.proxy_settings import Collector, ExternalAuthorization, ProxySettings, Tls
from meshlab.policy.osm.duration import check_duration, duration
from meshlab.policy.report import Report

_VERSIONS = ("TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3")
_AUTO = "TLS_AUTO"
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
)
"""Those that go with the certificates of the mesh, whose keys are of elliptic curves."""
_RSA_CIPHERS = frozenset(
    {
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
    }
)
"""Proxies know them, and never use them here."""
_KEYS = "P-256"
_TIMEOUT = timedelta(seconds=1)
_CURVES = ("X25519", "P-256", "P-384", "P-521", "X25519MLKEM768")
_AUTHORIZATION = "spec.traffic.inboundExternalAuthorization"
_TRACING = "spec.observability.tracing"


def read(spec: dict[str, Any]) -> ProxySettings:
    """What a sound MeshConfig says; what it leaves out keeps its default."""
    return ProxySettings(_tls(spec.get("sidecar", {})), _authorization(spec), _collector(spec))


def validate(spec: dict[str, Any], report: Report) -> None:
    """With these values proxies find a version and a cipher in common, and whom they ask has an address."""
    sidecar = spec.get("sidecar", {})
    tls = _tls(sidecar)
    if _VERSIONS.index(tls.oldest) > _VERSIONS.index(tls.newest):
        what = f"no version is between {tls.oldest} and {tls.newest}: no proxy could speak to any other"
        report.error("ML315", "spec.sidecar.tlsMaxProtocolVersion", what, "write TLSv1_3, or leave it out")
    for index, name in enumerate(tls.ciphers):
        if name not in _CIPHERS and name not in _RSA_CIPHERS:
            cure = f"write some of: {', '.join(_CIPHERS)}"
            report.error("ML316", f"spec.sidecar.cipherSuites[{index}]", f"{name!r} is no cipher suite here", cure)
    if tls.ciphers and not set(tls.ciphers) & set(_CIPHERS) and tls.newest != "TLSv1_3":
        what = "none goes with the mesh's certificates: no proxy could speak to any other"
        report.error("ML316", "spec.sidecar.cipherSuites", what, f"add {_CIPHERS[0]}")
    for index, name in enumerate(tls.curves):
        if name not in _CURVES:
            cure = f"write some of: {', '.join(_CURVES)}"
            report.error("ML316", f"spec.sidecar.ecdhCurves[{index}]", f"{name!r} is no curve here", cure)
    if tls.curves and _KEYS not in tls.curves and tls.newest != "TLSv1_3":
        what = f"up to TLS 1.2 {_KEYS} has to be among them, since the mesh's certificates have such keys"
        report.error("ML316", "spec.sidecar.ecdhCurves", what, f"add {_KEYS}")
    asked = spec.get("traffic", {}).get("inboundExternalAuthorization", {})
    check_duration(asked, "timeout", _AUTHORIZATION, report)
    _check_address(asked, _AUTHORIZATION, report, "address", "port")
    tracing = spec.get("observability", {}).get("tracing", {})
    _check_address(tracing, _TRACING, report, "address")
    if not tracing.get("endpoint", "/").startswith("/"):
        what = f"{tracing['endpoint']!r} is no path"
        report.error("ML317", f"{_TRACING}.endpoint", what, f"write /{tracing['endpoint']}")


def _check_address(part: dict[str, Any], path: str, report: Report, *needed: str) -> None:
    if part.get("enable"):
        for field in needed:
            if not part.get(field):
                report.error("ML317", f"{path}.{field}", "nobody is named whom proxies could call", f"add {field}")


def _tls(sidecar: dict[str, Any]) -> Tls:
    default = Tls()
    oldest = sidecar.get("tlsMinProtocolVersion", _AUTO)
    newest = sidecar.get("tlsMaxProtocolVersion", _AUTO)
    return Tls(
        oldest=default.oldest if oldest == _AUTO else oldest,
        newest=default.newest if newest == _AUTO else newest,
        ciphers=tuple(sidecar.get("cipherSuites", ())),
        curves=tuple(sidecar.get("ecdhCurves", ())),
    )


def _authorization(spec: dict[str, Any]) -> ExternalAuthorization | None:
    asked = spec.get("traffic", {}).get("inboundExternalAuthorization", {})
    if not asked.get("enable"):
        return None
    return ExternalAuthorization(
        host=asked["address"],
        port=asked["port"],
        stat_prefix=asked.get("statPrefix", ""),
        timeout=duration(asked.get("timeout", "")) or _TIMEOUT,
        allow_on_failure=asked.get("failureModeAllow", False),
    )


def _collector(spec: dict[str, Any]) -> Collector | None:
    tracing = spec.get("observability", {}).get("tracing", {})
    if not tracing.get("enable"):
        return None
    return Collector(tracing["address"], tracing.get("port", 9411), tracing.get("endpoint", "/api/v2/spans"))
