"""What does an Envoy know before it has heard of any mesh? Where the control plane is, and who it is itself.

Pure, and plain dictionaries: the agent that writes it loads no protobuf.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshlab.dataplane.envoy import names, static
from meshlab.dataplane.envoy.probes import Probe, probe_clusters, probe_listeners

ADMIN_SOCKET = "admin.sock"
"""Relative to Envoy's working directory, for a Unix socket's path may have no more than 107 letters."""
_PROXY, _ROOTS = "proxy", "controller-roots"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


@dataclass(frozen=True, slots=True)
class Node:
    """The proxy's own facts."""

    id: str
    """``<pod>.<namespace>``, what its certificate names."""
    identity: str
    """``<namespace>/<service account>``"""
    address: str
    """The pod's own."""
    explicit: bool
    """The pod shares its network with others: bind to its own address only, and connect from it."""
    mark: int = 0
    """What the kernel knows the proxy's own connections by, if it has to."""


@dataclass(frozen=True, slots=True)
class Controller:
    """The control plane, as a proxy knows it."""

    address: str
    port: int
    spiffe_id: str


def bootstrap(node: Node, controller: Controller, folder: str, probes: Sequence[Probe] = ()) -> dict[str, Any]:
    """Envoy's bootstrap configuration. `folder` holds the secrets that the agent keeps fresh."""
    here = node.address if node.explicit else "0.0.0.0"  # noqa: S104  # a pod's network is its own
    config: dict[str, Any] = {
        "node": {"id": node.id, "cluster": node.identity},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [_grpc_service()],
            },
            "cds_config": _ads(),
            "lds_config": _ads(),
        },
        "static_resources": {
            "listeners": [_stats_listener(here), *probe_listeners(probes, here)],
            "clusters": [
                _controller_cluster(controller, folder),
                static.cluster(names.ADMIN_CLUSTER, {"pipe": {"path": ADMIN_SOCKET}}),
                *probe_clusters(probes, node.address if node.explicit else "127.0.0.1"),
            ],
        },
        "overload_manager": _connection_limit(),
    }
    if node.explicit:
        source = {"source_address": {"address": node.address, "port_value": 0}}
        config["cluster_manager"] = {"upstream_bind_config": source}
    elif node.mark:
        mark = {"level": socket.SOL_SOCKET, "name": socket.SO_MARK, "int_value": node.mark, "state": "STATE_PREBIND"}
        config["cluster_manager"] = {"upstream_bind_config": {"socket_options": [mark]}}
    return config


def secret_files(chain: str, key: str, roots: str) -> dict[str, dict[str, Any]]:
    """What a proxy needs to reach the control plane, by file name: its own certificate, and whom it trusts.

    One secret in a file, which is replaced as a whole: Envoy takes a new one without a restart.
    """
    certificate = {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}
    return {
        _file(_PROXY): _secret(_PROXY, "tls_certificate", certificate),
        _file(_ROOTS): _secret(_ROOTS, "validation_context", {"trusted_ca": {"inline_string": roots}}),
    }


def known_roots(files: Mapping[str, str]) -> str:
    """The roots in such files, as a proxy's earlier life left them; empty when there are none."""
    try:
        (secret,) = json.loads(files[_file(_ROOTS)])["resources"]
        return str(secret["validation_context"]["trusted_ca"]["inline_string"])
    except (KeyError, ValueError):
        return ""


def _file(secret: str) -> str:
    return f"{secret}.json"


def _secret(name: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"resources": [{"@type": f"{_TLS}.Secret", "name": name, kind: content}]}


def _from_file(folder: str, secret: str) -> dict[str, Any]:
    source = {"path_config_source": {"path": f"{folder}/{_file(secret)}"}, "resource_api_version": "V3"}
    return {"name": secret, "sds_config": source}


def _ads() -> dict[str, Any]:
    # wait for the first answer however long it takes: a proxy without configuration is not ready
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def _grpc_service() -> dict[str, Any]:
    backoff = {"base_interval": "0.1s", "max_interval": "1s"}
    return {
        "envoy_grpc": {"cluster_name": names.CONTROLLER_CLUSTER, "retry_policy": {"retry_back_off": backoff}},
    }


def _controller_cluster(controller: Controller, folder: str) -> dict[str, Any]:
    who = [{"san_type": "URI", "matcher": {"exact": controller.spiffe_id}}]
    tls = {
        "@type": f"{_TLS}.UpstreamTlsContext",
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [_from_file(folder, _PROXY)],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": who},
                "validation_context_sds_secret_config": _from_file(folder, _ROOTS),
            },
        },
    }
    return {
        **static.cluster(names.CONTROLLER_CLUSTER, static.socket(controller.address, controller.port)),
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
                },
            }
        },
    }


def _stats_listener(address: str) -> dict[str, Any]:
    """Metrics for Prometheus and readiness for the kubelet; nothing else of the admin interface."""
    routes = [
        {"match": {"path": path}, "route": {"cluster": names.ADMIN_CLUSTER}} for path in ("/stats/prometheus", "/ready")
    ]
    return static.http_listener("stats", address, names.STATS_PORT, routes)


def _connection_limit() -> dict[str, Any]:
    extension = "envoy.resource_monitors.global_downstream_max_connections"
    kind = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    config = {"@type": f"type.googleapis.com/{kind}", "max_active_downstream_connections": 10_000}
    return {"resource_monitors": [{"name": extension, "typed_config": config}]}
