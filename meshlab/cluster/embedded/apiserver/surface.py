"""What does the core of the API server ask of its surface?

The pipeline in `server.py` calls these methods and nothing else of discovery, OpenAPI, schemas, tables,
authentication, authorization, webhooks, custom resource definitions, aggregation and proxying.
Each method delegates to the module of its subject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.request import ANONYMOUS, Attributes, Call, RequestInfo, User
from meshlab.cluster.embedded.apiserver.status import Cause

if TYPE_CHECKING:
    from aiohttp import web

    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.server import ApiServer


@dataclass
class SchemaReport:
    """What a schema says about an object: fields it doesn't know (`spec.replicsa`), and values it refuses."""

    unknown: list[str] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)


class Surface:
    """Made once with the server; `start` and `stop` frame its life."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    async def start(self) -> None:
        """Runs after the store is loaded and before the first request: register custom kinds, RBAC defaults."""

    async def stop(self) -> None:
        """Give everything back."""

    async def authenticate(self, http: web.BaseRequest) -> User:
        """Who sends this request. Raises `status.unauthorized()` for credentials that are wrong."""
        peer = http.transport.get_extra_info("peercert") if http.transport else None
        if not peer:
            return ANONYMOUS
        names = [(key, value) for part in peer["subject"] for key, value in part]
        user = next((value for key, value in names if key == "commonName"), "")
        groups = tuple(value for key, value in names if key == "organizationName")
        return User(user, groups=(*groups, "system:authenticated"))

    async def authorize(self, user: User, info: RequestInfo) -> str | None:
        """None when the user may do this; else why not, as a real server words it (may be empty)."""
        del info
        return None if "system:masters" in user.groups else ""

    async def serve_path(self, call: Call) -> web.StreamResponse | None:
        """Answer a path that is no resource (discovery, OpenAPI, version, health); None when there is none."""
        del call
        return None

    async def aggregate(self, call: Call) -> web.StreamResponse | None:
        """Pass the request on to an aggregated API server when an APIService claims its group and version."""
        del call
        return None

    async def review(self, call: Call, obj: dict[str, Any]) -> dict[str, Any]:
        """Answer a create-only kind: TokenReview, SubjectAccessReview, SelfSubjectReview and the like."""
        del obj
        raise status.not_implemented(f"{call.info.resource} is not served")

    async def connect(self, call: Call, obj: dict[str, Any]) -> web.StreamResponse:
        """Answer a subresource that is no part of the object: token, proxy, exec, attach, portforward.

        `obj` is the parent. A `token` request's body is read by the handler itself.
        """
        del obj
        raise status.not_implemented(f"{call.info.resource}/{call.info.subresource} is not served")

    def decode_protobuf(self, body: bytes) -> dict[str, Any]:
        """A body of `application/vnd.kubernetes.protobuf` as JSON."""
        del body
        raise status.unsupported_media_type(["application/json", "application/yaml"])

    def default(self, resource: Resource, obj: dict[str, Any]) -> None:
        """Fill in the defaults of a custom kind's schema and prune what it doesn't know, in place."""

    def check(self, resource: Resource, obj: dict[str, Any]) -> SchemaReport:
        """What the kind's schema (built-in or custom) says about an object, before pruning."""
        del resource, obj
        return SchemaReport()

    def list_type(self, resource: Resource, path: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """How server-side apply merges a list: (`atomic` | `set` | `map` | `granular`, keys), for a custom kind."""
        del resource, path
        return "atomic", ()

    def prepare(self, resource: Resource, obj: dict[str, Any], old: dict[str, Any] | None) -> list[Cause]:
        """Rules and derived fields of the kinds the surface owns (CRD, APIService, webhooks, RBAC).

        Called on create (`old` is None) and update, after mutation and before validation; `obj` may be
        changed in place. Returns what is wrong.
        """
        del resource, obj, old
        return []

    async def mutate(self, attributes: Attributes) -> dict[str, Any] | None:
        """The object after every mutating webhook. Raises the Status of a refusal."""
        return attributes.obj

    async def validate(self, attributes: Attributes) -> None:
        """Ask every validating webhook. Raises the Status of a refusal."""

    def table(self, resource: Resource, items: Sequence[Mapping[str, Any]], include: str) -> dict[str, Any]:
        """A meta.k8s.io/v1 Table of these objects, columns included; `include` is Metadata, Object or None.

        The core adds the list's metadata, and drops `columnDefinitions` after a watch's first event.
        """
        del items, include
        raise status.not_implemented(f"no table of {resource.plural}")
