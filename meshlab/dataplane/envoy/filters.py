"""Where do an overlay's filters go? Right before the router: they see what the policies have let pass."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from meshlab.dataplane.envoy import names
from meshlab.mesh.overlay import Direction, Filter, Language, Overlay

_TYPES = "type.googleapis.com/envoy.extensions.filters"
_HTTP = f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager"
_LISTENERS = {Direction.INBOUND: names.INBOUND_LISTENER, Direction.OUTBOUND: names.OUTBOUND_LISTENER}


def insert(listener: dict[str, Any], overlay: Overlay) -> None:
    """Put an overlay's filters into a listener's document, in every place where it speaks HTTP."""
    added = [_filter(overlay, item) for item in overlay.filters if _LISTENERS[item.direction] == listener.get("name")]
    if added:
        for manager in _managers(listener):
            filters = manager.setdefault("http_filters", [])
            filters[-1:-1] = added


def filter_name(overlay: Overlay, item: Filter) -> str:
    """What Envoy calls a filter: ``namespace/overlay/filter``."""
    return f"{overlay}/{item.name}"


def _managers(listener: dict[str, Any]) -> Iterator[dict[str, Any]]:
    default = listener.get("default_filter_chain")
    for chain in (*listener.get("filter_chains", ()), *([default] if default else ())):
        for item in chain.get("filters", ()):
            if item.get("typed_config", {}).get("@type") == _HTTP:
                yield item["typed_config"]


def _filter(overlay: Overlay, item: Filter) -> dict[str, Any]:
    config = _lua(item) if item.language is Language.LUA else _wasm(overlay, item)
    return {"name": filter_name(overlay, item), "typed_config": config}


def _lua(item: Filter) -> dict[str, Any]:
    source = {"inline_string": item.code.decode()}
    return {"@type": f"{_TYPES}.http.lua.v3.Lua", "default_source_code": source, "stat_prefix": item.name}


def _wasm(overlay: Overlay, item: Filter) -> dict[str, Any]:
    code = {"local": {"inline_bytes": base64.b64encode(item.code).decode()}}
    config: dict[str, Any] = {
        "name": filter_name(overlay, item),
        "failure_policy": "FAIL_OPEN" if item.fail_open else "FAIL_CLOSED",
        "vm_config": {"vm_id": filter_name(overlay, item), "runtime": "envoy.wasm.runtime.v8", "code": code},
    }
    if item.configuration:
        text = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": item.configuration}
        config["configuration"] = text
    return {"@type": f"{_TYPES}.http.wasm.v3.Wasm", "config": config}
