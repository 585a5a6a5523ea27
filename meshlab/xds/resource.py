"""What is the smallest thing a proxy can be told? One named message, serialised once for every proxy."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

TypeUrl = str
"""``type.googleapis.com/<full name of the message>``."""


def type_url(message: type[Message] | Message) -> TypeUrl:
    """The name by which discovery asks for a kind of message."""
    return f"type.googleapis.com/{message.DESCRIPTOR.full_name}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Resource:
    """A named message and its version, which is its content's hash: equal content is never sent twice.

    `body` is the finished piece of a delta response. Protobuf messages concatenate, so a response is the
    bodies of its resources one after the other, and every proxy gets the same bytes.
    """

    type_url: TypeUrl
    name: str
    version: str
    body: bytes = field(repr=False)
    needs: tuple[tuple[TypeUrl, str], ...] = ()
    """Other resources this one names; a snapshot that lacks one is not consistent."""
    renews: tuple[tuple[TypeUrl, str], ...] = ()
    """Those of `needs` that a proxy waits for anew whenever this one changes, though it has them already."""

    @classmethod
    def of(
        cls,
        name: str,
        message: Message,
        *,
        needs: tuple[tuple[TypeUrl, str], ...] = (),
        renews: tuple[tuple[TypeUrl, str], ...] = (),
    ) -> Resource:
        """Serialise a message, once."""
        url = type_url(message)
        packed = AnyMessage(type_url=url, value=message.SerializeToString(deterministic=True))
        version = blake2b(packed.value, digest_size=8).hexdigest()
        response = DeltaDiscoveryResponse()
        response.resources.add(name=name, version=version, resource=packed)
        return cls(url, name, version, response.SerializeToString(), needs, renews)

    def message(self) -> AnyMessage:
        """The message itself, for whoever wants to look inside."""
        packed: AnyMessage = DeltaDiscoveryResponse.FromString(self.body).resources[0].resource
        return packed
