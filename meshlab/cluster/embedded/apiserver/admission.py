"""What happens to an object between what a client sent and what is stored?"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import addresses, encode, metadata, status
from meshlab.cluster.embedded.apiserver.beginnings import first_state, schedule_class
from meshlab.cluster.embedded.apiserver.defaults import apply_defaults
from meshlab.cluster.embedded.apiserver.field_sets import duplicates
from meshlab.cluster.embedded.apiserver.lifecycle import is_terminating
from meshlab.cluster.embedded.apiserver.merge_rules import rule
from meshlab.cluster.embedded.apiserver.misfits import go_text
from meshlab.cluster.embedded.apiserver.options import WriteOptions
from meshlab.cluster.embedded.apiserver.pod_account import give_account
from meshlab.cluster.embedded.apiserver.request import Attributes, Call
from meshlab.cluster.embedded.apiserver.rules import broken_rules

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.managed_fields import ApplyManagers, Managers
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.server import ApiServer

Object = dict[str, Any]

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Admission:
    """Defaults, ownership, webhooks and rules, in Kubernetes' order."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def check_fields(self, call: Call, resource: Resource, obj: Object, options: WriteOptions) -> None:
        """Refuse, warn of or overlook fields the kind doesn't have; refuse a built-in kind's wrong types."""
        report = self._server.surface.check(resource, obj)
        if report.misfit:
            raise _unreadable(resource, report.misfit.decoded)
        self._require_known(call, resource, obj, options, report.unknown)

    def check_patched(
        self, call: Call, resource: Resource, obj: Object, options: WriteOptions, patch: Any, *, strategic: bool
    ) -> None:
        """The same for what a patch has made; a real server shows the strategic patch, or all that came of another."""
        report = self._server.surface.check(resource, obj)
        metadata.tidy(obj)
        shown = go_text(patch) if strategic else _all_of(resource, obj)
        if not resource.custom and (problem := metadata.kind_problem(resource, obj)):
            raise _unpatchable(shown, problem)
        if report.misfit:
            raise _unpatchable(shown, report.misfit.patched if strategic else report.misfit.decoded)
        try:
            self._require_known(call, resource, obj, options, report.unknown)
        except _UnknownFieldsError as error:
            raise _unpatchable(shown, error.problem) from None

    def _require_known(
        self, call: Call, resource: Resource, obj: Object, options: WriteOptions, paths: list[str]
    ) -> None:
        unknown = [f'unknown field "{path}"' for path in paths]
        unknown += [f'duplicate field "{path}"' for path in call.duplicates]
        if unknown and options.field_validation == "Strict":
            raise _UnknownFieldsError(resource, f"strict decoding error: {', '.join(unknown)}")
        if options.field_validation == "Warn":
            call.warnings += unknown
        for path in paths if not resource.custom else ():
            _drop(obj, path)

    def check_applied(self, call: Call, resource: Resource, config: Object, options: WriteOptions, given: str) -> None:
        """The same for server-side apply, which can't own a field that a built-in kind doesn't have.

        `given` is the namespace the configuration names.
        """
        if resource.custom:
            self.check_fields(call, resource, config, options)
            return
        report = self._server.surface.check(resource, config)
        said = [f".{path}: field not declared in schema" for path in report.unknown]
        if report.misfit:
            said.append(report.misfit.applied)
        said += duplicates(config, rule)
        if said:
            version = resource.api_version if resource.group else f"/{resource.version}"
            subject = f"{given}/{call.info.name}; {version}, Kind={resource.kind}"
            text = said[0] if len(said) == 1 else "errors:\n  " + "\n  ".join(said)
            raise status.StatusError(500, "", f"failed to create typed patch object ({subject}): {text}")

    def require_namespace(self, resource: Resource, obj: Object) -> None:
        """Refuse what is to live in a namespace that isn't there, or is on its way out."""
        namespace = obj["metadata"].get("namespace", "")
        if not resource.namespaced or not resource.storage:
            return
        namespaces = self._server.registry.find("", "v1", "namespaces")
        stored = self._server.store.newest("namespaces", ("", namespace))
        if stored is None and namespaces:
            raise status.not_found(namespaces, namespace)
        if stored and is_terminating(stored.obj):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise status.forbidden(resource, obj["metadata"].get("name", ""), why, causes=[cause])

    async def admit(self, attributes: Attributes, managers: Managers | ApplyManagers | None) -> Object:
        """The object as it may be stored. Raises the Status of the first refusal.

        Without managers the change is the server's own, which may do what a client can't: put a pod on a node.
        """
        surface, resource, old = self._server.surface, attributes.resource, attributes.old
        obj = attributes.obj or {}
        self._default(resource, obj, old)
        if managers:
            managers.record(obj, old)
        if old is None:
            self._begin(resource, obj)
        elif resource.storage == addresses.STORAGE:
            addresses.give_up(obj, old)
        mutated = await surface.mutate(dataclasses.replace(attributes, obj=obj))
        if mutated is not None and mutated is not obj:
            obj = mutated
            self._default(resource, obj, old)
        causes = surface.prepare(resource, obj, old)
        if resource.custom:
            causes += surface.check(resource, obj).causes
        if managers:
            causes += broken_rules(resource, obj, old, attributes.subresource)
        if causes:
            raise status.invalid(resource, obj["metadata"].get("name", ""), causes)
        await surface.validate(dataclasses.replace(attributes, obj=obj))
        return obj

    def _default(self, resource: Resource, obj: Object, old: Object | None) -> None:
        self._server.surface.default(resource, obj)
        if resource.custom:
            return
        if resource.storage == addresses.STORAGE and old is not None:
            addresses.keep_allocated(obj, old)
        apply_defaults(resource, obj)

    def _priority(self, resource: Resource, pod: Object) -> Object | None:
        """The PriorityClass that a pod names. Raises 403 when there is none of that name."""
        name = pod["spec"].get("priorityClassName")
        if not name or name in _SYSTEM_PRIORITIES:
            return {"value": _SYSTEM_PRIORITIES[name]} if name else None
        found = self._server.store.get("priorityclasses.scheduling.k8s.io", ("", name))
        if found is None:
            why = f"no PriorityClass with name {name} was found"
            raise status.forbidden(resource, pod["metadata"].get("name", ""), why)
        return found.obj

    def _begin(self, resource: Resource, obj: Object) -> None:
        first_state(resource, obj)
        if resource.storage == "pods":
            schedule_class(obj["spec"], self._priority(resource, obj))
            give_account(self._server.store, resource, obj)


class _UnknownFieldsError(status.StatusError):
    """400: fields that the kind doesn't have, and the client wants to be strict."""

    def __init__(self, resource: Resource, problem: str) -> None:
        self.problem = problem
        refusal = _unreadable(resource, problem)
        super().__init__(refusal.code, refusal.reason, refusal.message)


def _unreadable(resource: Resource, problem: str) -> status.StatusError:
    kind, version = resource.kind, resource.version
    return status.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {problem}')


_SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def _all_of(resource: Resource, obj: Object) -> str:
    """An object as an error shows it: its fields in order, those of a custom kind all the way down."""
    ordered = json.loads(json.dumps(obj, sort_keys=True)) if resource.custom else dict(sorted(obj.items()))
    return encode.dumps(ordered).decode()


def _unpatchable(shown: str, problem: str) -> status.StatusError:
    cause = status.invalid_value("patch", shown, problem)
    return status.StatusError(422, "Invalid", f' "" is invalid: {cause}', {"causes": [cause.to_dict()]})


def _drop(obj: Object, path: str) -> None:
    """Remove a field by its path: `spec.containers[0].nmae`."""
    steps = [int(index) if index else name for name, index in _STEP.findall(path)]
    parent: Any = obj
    for step in steps[:-1]:
        parent = parent[step]
    del parent[steps[-1]]
