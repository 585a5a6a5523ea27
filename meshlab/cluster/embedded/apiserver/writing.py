"""How are objects created, replaced and patched?

Every write is a function of the newest state: it is worked out, admitted and offered to the store, and
begun anew if the object has changed meanwhile, unless the client insisted on a version.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import body, encode, lifecycle, metadata, status
from meshlab.cluster.embedded.apiserver.addresses import Addresses
from meshlab.cluster.embedded.apiserver.admission import Admission
from meshlab.cluster.embedded.apiserver.beginnings import forget_status
from meshlab.cluster.embedded.apiserver.encode import Form
from meshlab.cluster.embedded.apiserver.managed_fields import ApplyManagers, Managers, rules_of
from meshlab.cluster.embedded.apiserver.options import WriteOptions
from meshlab.cluster.embedded.apiserver.patch import APPLY_PATCH, GO_NAMES, PATCH_TYPES, STRATEGIC_PATCH, patched
from meshlab.cluster.embedded.apiserver.request import Attributes
from meshlab.cluster.embedded.apiserver.store import Stored, VersionConflictError
from meshlab.cluster.embedded.apiserver.versions import from_storage, served_bytes, to_storage

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.server import ApiServer

Object = dict[str, Any]
Change = Callable[[Object], Object]
"""From the object as it is (one's own copy) to the object as the client wants it."""

_ATTEMPTS = 20
_CREATED = 201
_CREATED_BY_PUT = frozenset({
    *("endpoints", "events", "limitranges", "services", "leases.coordination.k8s.io"),
    *(f"{plural}.rbac.authorization.k8s.io" for plural in ("clusterroles", "clusterrolebindings")),
    *(f"{plural}.rbac.authorization.k8s.io" for plural in ("roles", "rolebindings")),
})  # fmt: skip


class Writer:
    """POST, PUT and PATCH."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._admission = Admission(server)

    async def create(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Store a new object."""
        form = _form(call)
        options = WriteOptions.of("CreateOptions", call.query)
        obj = await self._decode(call, resource)
        self._admission.check_fields(call, resource, obj, options)
        stored = await self.insert(call, resource, obj, self.managers(call, resource), options)
        return self._answer(call, form, resource, stored, _CREATED)

    async def _decode(self, call: Call, resource: Resource) -> Object:
        """The object of the body, as it fits the path."""
        decode = self._server.surface.decode_protobuf
        obj = await body.decode(call.http, resource.kind, decode, named=resource.custom, duplicates=call.duplicates)
        metadata.fit(resource, obj, call.info.namespace, call.info.name)
        return obj

    async def insert(
        self, call: Call, resource: Resource, obj: Object, managers: Managers | ApplyManagers, options: WriteOptions
    ) -> Stored:
        """Store a new object; a generated name that is taken is generated anew."""
        named = bool(obj["metadata"].get("name"))
        for _ in range(1 if named else _ATTEMPTS):
            new = copy.deepcopy(obj)
            metadata.begin(resource, new)
            forget_status(resource, new)
            self._admission.require_namespace(resource, new)
            attributes = Attributes(
                "CREATE", resource, call.info.namespace, new["metadata"].get("name", ""), "", call.user, new,
                options=options.to_dict(), dry_run=options.dry_run, warnings=call.warnings,
            )  # fmt: skip
            new = await self._admission.admit(attributes, managers)
            try:
                return await self._store(resource, new, None, options)
            except VersionConflictError:
                continue
        there = self._server.store.newest(resource.storage, (call.info.namespace, new["metadata"]["name"]))
        ending = there is not None and lifecycle.is_terminating(there.obj)
        raise status.already_exists(resource, new["metadata"]["name"], ending=ending)

    async def update(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Replace an object, or its status."""
        form = _form(call)
        options = WriteOptions.of("UpdateOptions", call.query)
        obj = await self._decode(call, resource)
        self._admission.check_fields(call, resource, obj, options)
        managers = self.managers(call, resource)
        missing = self._server.store.newest(resource.storage, call.key) is None
        if resource.custom and not missing and not obj["metadata"].get("resourceVersion"):
            cause = status.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise status.unversioned(resource, call.info.name, cause)
        creates = resource.storage in _CREATED_BY_PUT and not call.info.subresource
        if missing and creates and not obj["metadata"].get("resourceVersion"):
            stored = await self.insert(call, resource, obj, managers, options)
            return self._answer(call, form, resource, stored, _CREATED)
        stored = await self.change(call, resource, lambda _: copy.deepcopy(obj), managers, options)
        return self._answer(call, form, resource, stored)

    async def patch(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Change an object by one of the four kinds of patch."""
        media = call.http.content_type
        allowed = PATCH_TYPES if not resource.custom else [kind for kind in PATCH_TYPES if kind != STRATEGIC_PATCH]
        if media in PATCH_TYPES and media not in allowed:
            raise status.unsupported_media_type(allowed)
        if media not in allowed:
            raise status.StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        form = _form(call)
        options = WriteOptions.of("PatchOptions", call.query, apply=media == APPLY_PATCH)
        patch = body.parse_patch(await body.read(call.http), media)
        if media == APPLY_PATCH:
            return await self._apply(call, form, resource, patch, options)

        def change(old: Object) -> Object:
            uid = old["metadata"]["uid"]
            new = patched(old, media, patch)
            if not isinstance(new.get("metadata"), dict):
                new["metadata"] = {}
            strategic = media == STRATEGIC_PATCH
            self._admission.check_patched(call, resource, new, options, patch, strategic=strategic)
            metadata.fit(resource, new, call.info.namespace, call.info.name)
            if new["metadata"].get("uid") not in (None, "", uid):
                cause = status.invalid_value("metadata.uid", new["metadata"]["uid"], "field is immutable")
                raise status.invalid(resource, call.info.name, [cause, cause])
            return new

        managers = self.managers(call, resource)
        stored = await self.change(call, resource, change, managers, options)
        return self._answer(call, form, resource, stored)

    async def _apply(
        self, call: Call, form: Form, resource: Resource, config: Any, options: WriteOptions
    ) -> web.StreamResponse:
        manager = call.query.get("fieldManager", "")
        if not manager:
            raise status.invalid_options(
                "PatchOptions", [status.required("fieldManager", "is required for apply patch")]
            )
        config = _configuration(resource, config)
        said = config.get("metadata") or {}
        uid, namespace = said.get("uid"), said.get("namespace", "")
        metadata.fit(resource, config, call.info.namespace, call.info.name)
        self._admission.check_applied(call, resource, config, options, namespace)
        rules = rules_of(resource, self._server.surface.list_type)
        subresource = call.info.subresource
        managers = ApplyManagers(resource, rules, manager, config, force=options.force, subresource=subresource)
        if not subresource and self._server.store.newest(resource.storage, call.key) is None:
            if uid:
                why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                raise status.conflict(resource, call.info.name, why)
            try:
                stored = await self.insert(call, resource, managers.create(), managers, options)
            except status.StatusError as error:
                if error.reason != "AlreadyExists":
                    raise
            else:
                return self._answer(call, form, resource, stored, _CREATED)
        stored = await self.change(call, resource, managers.apply, managers, options)
        return self._answer(call, form, resource, stored)

    async def change(
        self,
        call: Call,
        resource: Resource,
        change: Change,
        managers: Managers | ApplyManagers | None,
        options: WriteOptions,
    ) -> Stored:
        """Change an object by a function of its newest state; the object as stored.

        Without managers the change is the server's own and nobody's.
        """
        info = call.info
        for _ in range(_ATTEMPTS):
            newest = self._server.store.newest(resource.storage, call.key)
            if newest is None:
                raise status.not_found(resource, info.name)
            old = from_storage(resource, newest.copy())
            new = change(from_storage(resource, newest.copy()))
            self._require_identity(resource, new, newest)
            if managers:
                metadata.carry_over(resource, new, old, info.subresource)
            attributes = Attributes(
                "UPDATE", resource, info.namespace, info.name, info.subresource, call.user, new, old,
                options=options.to_dict(), dry_run=options.dry_run, warnings=call.warnings,
            )  # fmt: skip
            new = await self._admission.admit(attributes, managers)
            if managers:
                metadata.count_change(resource, new, old)
            if metadata.same(new, old):
                return newest
            try:
                return await self._store(resource, new, newest, options)
            except VersionConflictError:
                continue
        raise status.conflict(resource, info.name, status.STALE)

    async def _store(self, resource: Resource, new: Object, newest: Stored | None, options: WriteOptions) -> Stored:
        """Offer the object to the store. An object on its way out whose last finalizer went is deleted instead."""
        Addresses(self._server.store, self._server.block).allocate(resource, new)
        metadata.tidy(new)
        name, namespace = new["metadata"]["name"], new["metadata"].get("namespace", "")
        obj = to_storage(resource, new)
        version = newest.version if newest else 0
        if options.dry_run:
            if newest is None and self._server.store.newest(resource.storage, (namespace, name)):
                raise VersionConflictError(version)
            return Stored((namespace, name), version, encode.dumps(obj))
        gone = newest is not None and lifecycle.is_finished(resource, new)
        written = await self._server.store.write(resource.storage, (namespace, name), None if gone else obj, version)
        return written if not gone else Stored(written.key, written.version, encode.dumps(obj))

    def managers(self, call: Call, resource: Resource) -> Managers:
        """What notes the caller's changes."""
        rules = rules_of(resource, self._server.surface.list_type)
        return Managers(resource, rules, call.manager, call.info.subresource)

    @staticmethod
    def _require_identity(resource: Resource, new: Object, newest: Stored) -> None:
        found, uid = newest.obj["metadata"], new["metadata"].get("uid")
        name = found["name"]
        if uid and uid != found["uid"]:
            key = "/".join(filter(None, ("/registry", resource.plural, found.get("namespace"), name)))
            problem = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found['uid']}"
            why = (
                f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {problem}"
            )
            raise status.conflict(resource, name, why)
        if new["metadata"].get("resourceVersion") not in (None, "", "0", str(newest.version)):
            raise status.conflict(resource, name, status.STALE)
        new["metadata"]["resourceVersion"] = str(newest.version)

    def _answer(
        self, call: Call, form: Form, resource: Resource, stored: Stored, code: int = 200
    ) -> web.StreamResponse:
        answer: Any = served_bytes(resource, stored)
        if form.view:
            answer = encode.view(self._server.surface, resource, form, from_storage(resource, stored.copy()))
        return encode.respond(form, answer, code, call.warnings)


def _configuration(resource: Resource, config: Any) -> Object:
    """What is to be applied. Raises 400 when it is no object of the kind."""
    if config is not None and not isinstance(config, dict):
        shown = GO_NAMES.get(type(config), "number")
        problem = f"json: cannot unmarshal {shown} into Go value of type map[string]interface {{}}"
        raise status.bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {problem}")
    found: Object = config or {}
    kind, version = found.get("kind") or "", found.get("apiVersion") or ""
    if (kind, version) != (resource.kind, resource.api_version):
        shown = version if "/" in version else f"/{version}"
        raise status.bad_request(f"invalid object type: {shown}, Kind={kind}")
    return found


def _form(call: Call) -> Form:
    """How the client wants its answer: asked before anything is changed."""
    return encode.negotiate(call.http.headers.get("Accept", ""), writing=True)
