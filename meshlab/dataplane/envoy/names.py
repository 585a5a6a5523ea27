"""What is everything called? Names, ports and types that the control plane and the pod must agree on.

Imports nothing, so that the sidecar's agent stays small.
"""

from __future__ import annotations

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105

STAGES = ((CLUSTER, ENDPOINTS, SECRET), (LISTENER, ROUTES))
"""Envoy acknowledges clusters once they are warm, with endpoints and secrets; only then may routes name them."""

OUTBOUND_PORT = 15001
INBOUND_PORT = 15003
STATS_PORT = 15010
PROBE_PORTS = {"livenessProbe": 15901, "readinessProbe": 15902, "startupProbe": 15903}
TCP_PROBE_PORT = 15904
XDS_PORT = 15128
SIGNING_PORT = 15129

PROXY_UID = 1500
"""The user the proxy runs as, by which redirection spares its own connections (OSM's number)."""
PROXY_MARK = 1337
"""What it marks its connections with, where all of a pod runs as one user."""

GATEWAY_HTTP, GATEWAY_HTTPS = "gateway-http", "gateway-https"
GATEWAY_PORTS = {GATEWAY_HTTP: 8080, GATEWAY_HTTPS: 8443}
GATEWAY_ROUTES = "rds-gateway"

INBOUND_LISTENER = "inbound-listener"
OUTBOUND_LISTENER = "outbound-listener"
EXPLICIT_ROUTES = "rds-outbound"
EGRESS_CLUSTER = "egress"
AUTHORIZATION_CLUSTER = "authorization"
TRACING_CLUSTER = "tracing"
"""The address that a redirected connection was meant for."""
EGRESS_BY_NAME = "egress|by-name"
"""The host that a request names."""

SVID_SECRET = "svid"  # noqa: S105
"""Each proxy's own certificate has this name, so that none can ask for another's."""
BUNDLE_SECRET = "bundle"  # noqa: S105

CONTROLLER_CLUSTER = "meshlab-controller"
ADMIN_CLUSTER = "admin"
ALPN = "osm"

PERMISSIVE = "(permissive mode)"
"""The RBAC policy that lets everybody in; no Kubernetes object can have this name."""

DIRECT = "|direct"
"""Ends the name of what serves connections that were meant for a pod and not for its Service."""

TLS_MATCH = "envoy.transport_socket_match"
METADATA = "meshlab"
"""Where endpoints carry their pod's name, for the access log."""


def outbound_routes(upstream: object) -> str:
    """The routes of calls to a Service port, where the kernel redirects."""
    return f"rds-outbound.{upstream}"


def direct_cluster(upstream: object) -> str:
    """The pods of a Service port, each reached at its own address."""
    return f"{upstream}{DIRECT}"


def direct_routes(upstream: object) -> str:
    """The routes of connections to such a pod."""
    return f"rds-outbound.{upstream}{DIRECT}"


def egress_routes(region: str) -> str:
    """The routes of calls to a port, or to a range of addresses, outside the mesh."""
    return f"rds-egress.{region}"


def inbound_routes(identity: object, port: int, setting: str = "") -> str:
    """The routes, and who may use them, of a port of every workload that runs as an identity.

    `setting` names what limits the requests of some Service there.
    """
    return f"rds-inbound.{identity}|{port}" + (f"|{setting}" if setting else "")


def door_routes(identity: object, port: int, transport: str) -> str:
    """The routes of callers from outside the mesh to such a port, and who of them may use them."""
    return f"rds-ingress.{identity}|{port}|{transport}"


def local_cluster(identity: object, port: int) -> str:
    """The app's own port, beside its proxy."""
    return f"{identity}|{port}|local"
