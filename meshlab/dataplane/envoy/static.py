"""How is a listener or cluster written that never changes? Pieces of a bootstrap, as dictionaries."""

from __future__ import annotations

from typing import Any

_FILTERS = "type.googleapis.com/envoy.extensions.filters"


def socket(address: str, port: int) -> dict[str, Any]:
    """An address and port."""
    return {"socket_address": {"address": address, "port_value": port}}


def cluster(name: str, address: dict[str, Any]) -> dict[str, Any]:
    """A cluster of one address."""
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def http_listener(name: str, address: str, port: int, routes: list[dict[str, Any]]) -> dict[str, Any]:
    """A listener that answers plain HTTP by these routes."""
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"}}
        ],
    }
    return _listener(name, address, port, "envoy.filters.network.http_connection_manager", manager)


def tcp_listener(name: str, address: str, port: int, to: str) -> dict[str, Any]:
    """A listener that hands every connection to one cluster."""
    proxy = {"@type": f"{_FILTERS}.network.tcp_proxy.v3.TcpProxy", "stat_prefix": name, "cluster": to}
    return _listener(name, address, port, "envoy.filters.network.tcp_proxy", proxy)


def _listener(name: str, address: str, port: int, filter_name: str, config: dict[str, Any]) -> dict[str, Any]:
    filters = [{"name": filter_name, "typed_config": config}]
    return {"name": name, "address": socket(address, port), "filter_chains": [{"filters": filters}]}
