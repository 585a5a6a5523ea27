"""Resources of made-up types: discovery knows no listeners or routes."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from meshlab.xds import Resource, Snapshot
from meshlab.xds.resource import type_url

OWNER = "spiffe://cluster.local/ns/shop/sa/till"
PLACES, PARTS, SIGNS = type_url(Struct), type_url(ListValue), type_url(Value)
STAGES = ((PLACES, PARTS), (SIGNS,))


def place(name: str, text: str = "", **options: object) -> Resource:
    return Resource.of(name, Struct(fields={"text": Value(string_value=text)}), **options)  # type: ignore[arg-type]


def part(name: str, text: str = "") -> Resource:
    return Resource.of(name, ListValue(values=[Value(string_value=text)]))


def sign(name: str, text: str = "", **options: object) -> Resource:
    return Resource.of(name, Value(string_value=text), **options)  # type: ignore[arg-type]


def snapshot(*resources: Resource, owner: str = OWNER) -> Snapshot:
    return Snapshot.of(owner, resources)


def ask(url: str, *names: str, have: dict[str, str] | None = None, drop: Iterable[str] = ()) -> DeltaDiscoveryRequest:
    return DeltaDiscoveryRequest(
        type_url=url, resource_names_subscribe=names, resource_names_unsubscribe=drop, initial_resource_versions=have
    )


def ack(response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest:
    return DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)


def nack(response: DeltaDiscoveryResponse, reason: str) -> DeltaDiscoveryRequest:
    request = ack(response)
    request.error_detail.message = reason
    return request


def names(response: DeltaDiscoveryResponse) -> list[str]:
    return sorted(resource.name for resource in response.resources)
