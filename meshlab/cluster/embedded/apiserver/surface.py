"""What does the core of the API server ask of its surface?

The pipeline in `server.py` calls these methods and nothing else of discovery, OpenAPI, schemas, tables,
authentication, authorization, webhooks, custom resource definitions, aggregation and proxying.
Each method delegates to the module of its subject.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import (
    aggregation,
    body,
    crd,
    encode,
    metadata,
    protobuf,
    reviews,
    schema,
    status,
    webhook_config,
)
from meshlab.cluster.embedded.apiserver.aggregation import Aggregator
from meshlab.cluster.embedded.apiserver.authentication import authenticate, impersonated
from meshlab.cluster.embedded.apiserver.authorization import refuse
from meshlab.cluster.embedded.apiserver.bootstrap import bootstrap
from meshlab.cluster.embedded.apiserver.builtin_schemas import BuiltinSchemas
from meshlab.cluster.embedded.apiserver.definitions import Definitions
from meshlab.cluster.embedded.apiserver.forward import Forwarder
from meshlab.cluster.embedded.apiserver.misfits import Misfit
from meshlab.cluster.embedded.apiserver.paths import Paths
from meshlab.cluster.embedded.apiserver.proxy import proxy
from meshlab.cluster.embedded.apiserver.registry import Resource
from meshlab.cluster.embedded.apiserver.request import Attributes, Call, RequestInfo, User
from meshlab.cluster.embedded.apiserver.schema_validation import validate
from meshlab.cluster.embedded.apiserver.status import Cause
from meshlab.cluster.embedded.apiserver.table import table
from meshlab.cluster.embedded.apiserver.tokens import TokenError, Tokens
from meshlab.cluster.embedded.apiserver.webhooks import Webhooks

if TYPE_CHECKING:
    from aiohttp import web

    from meshlab.cluster.embedded.apiserver.server import ApiServer


_TOKEN_REQUEST = Resource("authentication.k8s.io", "v1", "tokenrequests", "tokenrequest", "TokenRequest")


@dataclass
class SchemaReport:
    """What a schema says about an object: fields it doesn't know (`spec.replicsa`), and values it refuses.

    For a built-in kind that is the first value that can't be read at all.
    """

    unknown: list[str] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    misfit: Misfit | None = None


class Surface:
    """Made once with the server; `start` and `stop` frame its life."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    async def start(self) -> None:
        """Runs after the store is loaded and before the first request: register custom kinds, RBAC defaults."""
        server = self.server
        self.tokens = Tokens(server.pki.service_account_key, server.store)
        self.builtin = await BuiltinSchemas.load()
        open_socket = lambda address: server.open_socket(address)  # noqa: E731, PLW0108  # who runs pods is told later
        self.forwarder = Forwarder(open_socket)
        self.aggregator = Aggregator(server.store, server.pki, self.forwarder)
        self.aggregator.start()
        self.paths = Paths(server, self.tokens, self.builtin, self.aggregator)
        self.webhooks = Webhooks(server.store, server.registry, open_socket)
        self.definitions = Definitions(server.store, server.registry)
        self.definitions.start()
        await bootstrap(server.store, server.registry, server.pki)

    async def stop(self) -> None:
        """Give everything back."""
        await self.aggregator.stop()
        await self.definitions.stop()
        await self.webhooks.close()
        await self.forwarder.close()

    async def authenticate(self, http: web.BaseRequest) -> User:
        """Who sends this request. Raises `status.unauthorized()` for credentials that are wrong."""
        user = authenticate(http, self._token_user)
        other = impersonated(http)
        if other is None:
            return user
        for kind, names in (("users", [other.name]), ("groups", http.headers.getall("Impersonate-Group", []))):
            for name in names:
                info = RequestInfo("", "impersonate", is_resource=True, resource=kind, name=name)
                if refuse(user, info, self._lookup) is not None:
                    why = (
                        f'User "{user.name}" cannot impersonate resource "{kind}" in API group "" at the cluster scope'
                    )
                    raise status.StatusError(403, "Forbidden", f'{kind} "{name}" is forbidden: {why}')
        return other

    def _token_user(self, token: str) -> User | None:
        try:
            return self.tokens.user(token)[0]
        except TokenError:
            return None

    def _lookup(self, collection: str) -> list[dict[str, Any]]:
        return [stored.obj for stored in self.server.store.list(collection)]

    async def authorize(self, user: User, info: RequestInfo) -> str | None:
        """None when the user may do this; else why not, as a real server words it (may be empty)."""
        return refuse(user, info, self._lookup)

    async def serve_path(self, call: Call) -> web.StreamResponse | None:
        """Answer a path that is no resource (discovery, OpenAPI, version, health); None when there is none."""
        return await self.paths.serve(call)

    async def aggregate(self, call: Call) -> web.StreamResponse | None:
        """Pass the request on to an aggregated API server when an APIService claims its group and version."""
        service = self.aggregator.claims(call.info.group, call.info.version)
        return await self.aggregator.proxy(call, service) if service else None

    async def review(self, call: Call, obj: dict[str, Any]) -> dict[str, Any]:
        """Answer a create-only kind: TokenReview, SubjectAccessReview, SelfSubjectReview and the like."""
        return reviews.answer(call, obj, self._lookup, self.tokens)

    async def connect(self, call: Call, obj: dict[str, Any]) -> web.StreamResponse:
        """Answer a subresource that is no part of the object: token, proxy.

        `obj` is the parent.
        """
        if call.info.subresource == "token":
            request = await body.decode(call.http, _TOKEN_REQUEST.kind, self.decode_protobuf)
            if problem := metadata.kind_problem(_TOKEN_REQUEST, request):
                subject = f'{request["kind"]} in version "{request["apiVersion"]}"'
                raise status.bad_request(f"{subject} cannot be handled as a {_TOKEN_REQUEST.kind}: {problem}")
            return encode.respond(encode.PLAIN, self.tokens.request(obj, request), 201)
        if call.info.subresource == "proxy":
            return await proxy(call, self.server.store, self.forwarder)
        what = f"{call.info.resource}/{call.info.subresource}"
        raise status.not_implemented(f"{what} is not there in the embedded cluster; a cluster of kind has it")

    def decode_protobuf(self, data: bytes) -> dict[str, Any]:
        """A body of `application/vnd.kubernetes.protobuf` as JSON."""
        return protobuf.decode(data)

    def default(self, resource: Resource, obj: dict[str, Any]) -> None:
        """Fill in defaults in place: those of a custom kind's schema (what it doesn't know is pruned), and those of the
        kinds the surface owns.
        """
        if resource.storage == crd.COLLECTION:
            crd.complete(obj)
        elif resource.storage in webhook_config.COLLECTIONS:
            webhook_config.complete(obj)
        if resource.schema is not None:
            schema.prune(resource.schema, obj)
            schema.default(resource.schema, obj)

    def check(self, resource: Resource, obj: dict[str, Any]) -> SchemaReport:
        """What the kind's schema (built-in or custom) says about an object, before pruning."""
        if resource.schema is None:
            unknown, misfit = self.builtin.check(resource, obj)
            return SchemaReport(unknown, [], misfit)
        mine = copy.deepcopy(obj)
        unknown = schema.prune(resource.schema, mine)
        schema.default(resource.schema, mine)
        return SchemaReport(unknown, validate(resource.schema, mine))

    def list_type(self, resource: Resource, path: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """How server-side apply merges a list: (`atomic` | `set` | `map` | `granular`, keys), for a custom kind."""
        return schema.merge_rule(resource.schema or {}, path)

    def prepare(self, resource: Resource, obj: dict[str, Any], old: dict[str, Any] | None) -> list[Cause]:
        """Rules and derived fields of the kinds the surface owns (CRD, APIService, webhooks, RBAC).

        Called on create (`old` is None) and update, after mutation and before validation; `obj` may be
        changed in place. Returns what is wrong.
        """
        if resource.storage == crd.COLLECTION:
            return crd.prepare(obj, old, self._lookup(crd.COLLECTION))
        if resource.storage == aggregation.COLLECTION:
            return aggregation.prepare(obj)
        if resource.storage in webhook_config.COLLECTIONS:
            return webhook_config.problems(obj)
        return []

    async def mutate(self, attributes: Attributes) -> dict[str, Any] | None:
        """The object after every mutating webhook. Raises the Status of a refusal."""
        return await self.webhooks.mutate(attributes, attributes.warnings)

    async def validate(self, attributes: Attributes) -> None:
        """Ask every validating webhook. Raises the Status of a refusal."""
        await self.webhooks.validate(attributes, attributes.warnings)

    def table(self, resource: Resource, items: Sequence[Mapping[str, Any]], include: str) -> dict[str, Any]:
        """A meta.k8s.io/v1 Table of these objects, columns included; `include` is Metadata, Object or None.

        The core adds the list's metadata, and drops `columnDefinitions` after a watch's first event.
        """
        return table(resource, items, include)
