"""How does one reach a Service or a pod through the API server (`…/services/web:80/proxy/path`)?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status, tls
from meshlab.cluster.embedded.apiserver.endpoints import Endpoint, NoEndpointError, resolve

if TYPE_CHECKING:
    from aiohttp import web

    from meshlab.cluster.embedded.apiserver.forward import Forwarder
    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.store import Store


def split_name(name: str) -> tuple[str, str, str]:
    """Scheme, name and port of what is to be reached: `https:web:443`, `web:http`, `web`."""
    parts = name.split(":")
    if len(parts) == 3:
        return parts[0] or "http", parts[1], parts[2]
    return "http", parts[0], parts[1] if len(parts) == 2 else ""


async def proxy(call: Call, store: Store, forwarder: Forwarder) -> web.StreamResponse:
    """Have the Service or pod answer. Raises 404 and 503."""
    scheme, name, port = split_name(call.info.name)
    if scheme not in ("http", "https"):
        raise status.bad_request(f'invalid proxy scheme "{scheme}"')
    if call.info.resource == "pods":
        endpoint = _pod(store, call.info.namespace, name, port)
    else:
        try:
            endpoint = resolve(store, call.info.namespace, name, port)
        except NoEndpointError as error:
            raise status.unavailable(str(error)) from error
    _, _, rest = call.http.raw_path.partition(f"{call.http.path.partition('/proxy')[0]}/proxy")
    return await forwarder.forward(
        call.http,
        f"{scheme}://{endpoint.address}:{endpoint.port}{rest if rest.startswith('/') else '/' + rest}",
        context=tls.anybody() if scheme == "https" else None,
    )


def _pod(store: Store, namespace: str, name: str, port: str) -> Endpoint:
    stored = store.get("pods", (namespace, name))
    pod: Mapping[str, Any] = stored.obj if stored else {}
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        raise status.unavailable(f'pod "{name}" has no address')
    ports = [
        item for container in (pod.get("spec") or {}).get("containers") or [] for item in container.get("ports") or []
    ]
    known = {item.get("name"): item["containerPort"] for item in ports}
    if not port:
        number = ports[0]["containerPort"] if ports else 80
    elif port.isdecimal():
        number = int(port)
    elif port in known:
        number = known[port]
    else:
        raise status.bad_request(f'pod "{name}" has no port "{port}"')
    return Endpoint(address, number, address)
