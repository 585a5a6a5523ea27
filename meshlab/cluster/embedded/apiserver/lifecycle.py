"""How does an object end?

A deletion marks an object that has finalizers, or a pod that needs time, and removes any other. The last
finalizer's removal removes a marked object.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import body, encode, go_json, status
from meshlab.cluster.embedded.apiserver.metadata import has_generation, now, tidy
from meshlab.cluster.embedded.apiserver.options import DeleteOptions, ListOptions
from meshlab.cluster.embedded.apiserver.request import Attributes
from meshlab.cluster.embedded.apiserver.selectors import matcher
from meshlab.cluster.embedded.apiserver.store import Stored, VersionConflictError
from meshlab.cluster.embedded.apiserver.versions import from_storage, item_bytes, served_bytes, to_storage

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.server import ApiServer

Object = dict[str, Any]

_PROTECTED_NAMESPACES = ("default", "kube-system", "kube-public")
_RETURNS_OBJECT = frozenset({
    *("pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "podtemplates"),
    *("storageclasses.storage.k8s.io", "resourcequotas"),
})  # fmt: skip
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
_POD_GRACE = 30


def is_terminating(obj: Mapping[str, Any]) -> bool:
    """Whether somebody has asked for the object's end."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_finished(resource: Resource, obj: Mapping[str, Any]) -> bool:
    """Whether a marked object has nothing left to wait for."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if resource.storage == "namespaces":
        return not (obj.get("spec") or {}).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")


class Remover:
    """DELETE, of one object and of a collection."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    async def delete(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Delete one object; answers the object when it is only marked, else a Status."""
        form = encode.negotiate(call.http.headers.get("Accept", ""), writing=True)
        options = DeleteOptions.of(call.query, await self._options(call))
        stored, gone = await self.remove(call, resource, call.key, options)
        if gone and resource.storage not in _RETURNS_OBJECT:
            metadata = stored.obj["metadata"]
            return encode.respond(encode.PLAIN, status.success(resource, metadata["name"], metadata["uid"]))
        if gone and resource.storage == "pods":
            return encode.respond(form, _last_state(stored.copy(), options), warnings=call.warnings)
        return encode.respond(form, served_bytes(resource, stored), warnings=call.warnings)

    async def delete_collection(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Delete every object a list with the same selectors would show; answers that list."""
        options = DeleteOptions.of(call.query, await self._options(call))
        listing = ListOptions.of(call.query, watch=False)
        matches = matcher(resource, listing.labels, listing.fields)
        removed: list[bytes] = []
        for item in self._server.store.list(resource.storage, call.info.namespace):
            if matches and not matches(item.obj):
                continue
            try:
                await self.remove(call, resource, item.key, options)
            except status.StatusError as error:
                if error.reason != "NotFound":
                    raise
            else:
                removed.append(item_bytes(resource, item))
        metadata = {"resourceVersion": str(self._server.store.version)}
        head = encode.dumps({"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata})
        return encode.respond(encode.PLAIN, b'%s,"items":[%s]}' % (head[:-1], b",".join(removed)))

    async def remove(
        self, call: Call, resource: Resource, key: tuple[str, str], options: DeleteOptions
    ) -> tuple[Stored, bool]:
        """Delete or mark; what was stored last, and whether the object is gone."""
        while True:
            newest = self._server.store.newest(resource.storage, key)
            if newest is None:
                raise status.not_found(resource, key[1])
            old = from_storage(resource, newest.copy())
            self._check(resource, old, options)
            attributes = Attributes(
                "DELETE", resource, key[0], key[1], "", call.user, None, old,
                options=options.to_dict(), dry_run=options.dry_run, warnings=call.warnings,
            )  # fmt: skip
            await self._server.surface.mutate(attributes)
            await self._server.surface.validate(attributes)
            marked = _mark(resource, old, options)
            if marked is not None and marked == old:
                return newest, False
            if options.dry_run:
                return newest, marked is None
            obj = to_storage(resource, marked) if marked else None
            try:
                return await self._server.store.write(resource.storage, key, obj, newest.version), marked is None
            except VersionConflictError:
                continue

    @staticmethod
    async def _options(call: Call) -> Mapping[str, Any]:
        sent = await body.read(call.http)
        if not sent:
            return {}
        try:
            parsed = body.parse_yaml(sent) if call.http.content_type.endswith("yaml") else go_json.loads(sent)
        except ValueError as error:
            raise status.StatusError(500, "", f"couldn't get version/kind; json parse error: {error}") from None
        options = parsed if isinstance(parsed, dict) else {}
        kind, version = options.get("kind", "DeleteOptions"), options.get("apiVersion", "v1")
        if kind != "DeleteOptions":
            problem = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:110"'
            raise status.StatusError(500, "", problem)
        return options

    @staticmethod
    def _check(resource: Resource, old: Object, options: DeleteOptions) -> None:
        metadata = old["metadata"]
        name = metadata["name"]
        if resource.storage == "namespaces" and name in _PROTECTED_NAMESPACES:
            raise status.forbidden(resource, name, "this namespace may not be deleted")
        for word, asked, found, hint in (
            ("UID", options.uid, metadata["uid"], "deleted and then recreated"),
            ("ResourceVersion", options.version, metadata["resourceVersion"], "modified"),
        ):
            if asked and asked != found:
                message = (
                    f'Operation cannot be fulfilled on {resource.group_kind} "{name}": the {word} in the precondition '
                    f"({asked}) does not match the {word} in record ({found}). The object might have been {hint}"
                )
                details = {"name": name, "kind": resource.kind}
                if resource.group:
                    details["group"] = resource.group
                raise status.StatusError(409, "Conflict", message, details)


def _mark(resource: Resource, old: Object, options: DeleteOptions) -> Object | None:
    """The object marked for deletion (perhaps it is already); None when it can go at once."""
    metadata = old["metadata"]
    finalizers = _finalizers(metadata.get("finalizers") or [], options.propagation)
    grace = _grace(resource, old, options)
    waits = bool(grace or finalizers)
    if resource.storage == "namespaces":
        waits = waits or bool((old.get("spec") or {}).get("finalizers"))
    if not waits:
        return None
    marked = {**old, "metadata": {**metadata, "finalizers": finalizers}}
    before = metadata.get("deletionGracePeriodSeconds")
    if not metadata.get("deletionTimestamp"):
        marked["metadata"]["deletionTimestamp"] = _later(grace)
        if has_generation(resource) and resource.storage != _DEFINITIONS:
            marked["metadata"]["generation"] = metadata.get("generation", 0) + 1
        if resource.storage == "namespaces":
            marked["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
        marked["metadata"]["deletionGracePeriodSeconds"] = grace
    elif before and grace < before:
        marked["metadata"]["deletionTimestamp"] = _later(grace)
        marked["metadata"]["deletionGracePeriodSeconds"] = grace
    if resource.storage in ("namespaces", _DEFINITIONS):
        marked["metadata"].pop("deletionGracePeriodSeconds", None)
    tidy(marked)
    return marked


def _last_state(pod: Object, options: DeleteOptions) -> Object:
    """A pod that went at once, as its deletion is answered: marked, with no time left."""
    metadata = pod["metadata"]
    if not metadata.get("deletionTimestamp"):
        metadata["generation"] = metadata.get("generation", 0) + 1
        metadata["deletionTimestamp"] = now()
    metadata["deletionGracePeriodSeconds"] = 1 if (options.grace or 0) < 0 else 0
    tidy(pod)
    return pod


def _later(seconds: int) -> str:
    if not seconds:
        return now()
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _finalizers(found: list[str], propagation: str) -> list[str]:
    """The finalizers that say what is to become of the dependents are set by the policy, or kept without one."""
    if not propagation:
        return found
    others = [name for name in found if name not in (_FOREGROUND, _ORPHAN)]
    return others + {"Foreground": [_FOREGROUND], "Orphan": [_ORPHAN]}.get(propagation, [])


def _grace(resource: Resource, old: Object, options: DeleteOptions) -> int:
    """How many seconds a pod gets to end: none when no node runs it."""
    if resource.storage != "pods":
        return 0
    spec, phase = old.get("spec") or {}, (old.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    asked = options.grace
    if asked is None:
        asked = spec.get("terminationGracePeriodSeconds", _POD_GRACE)
    before = old["metadata"].get("deletionGracePeriodSeconds")
    return max(0, asked if before is None else min(asked, before))
