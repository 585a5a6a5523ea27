"""What does a request ask for, and who asks?

A path and a method become a verb on a resource, the way Kubernetes' RequestInfo does it; authorization,
admission and routing all speak of requests in these words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web
    from multidict import MultiMapping

    from meshlab.cluster.embedded.apiserver.registry import Resource

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_PARTS = ("status", "finalize")
_STREAMS = ("exec", "attach", "portforward")


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as authentication found out."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, list[str]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request in Kubernetes' words. When `is_resource` is false only `path` and `verb` mean something.

    `tail` is what follows the subresource (`/proxy/<tail>`).
    """

    path: str
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    tail: str = ""


def request_info(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """What a method on a path means."""
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(path, method.lower())
    verb = _VERBS.get(method, method.lower())
    watching = query.get("watch") in ("true", "1")
    if rest[0] == "watch" and len(rest) > 1:
        rest, watching = rest[1:], True
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_PARTS:
            rest = rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    name = name if len(rest) > 1 else ""
    subresource = subresource if len(rest) > 2 else ""
    if resource == "pods" and subresource in _STREAMS and verb == "get":
        verb = "create"  # a WebSocket begins with GET, and whoever may only read must not get in by it
    if not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    if watching and verb in ("get", "list"):
        verb = "watch"
    if verb in ("list", "watch", "deletecollection") and not name:
        name = _name_selected(query.get("fieldSelector", ""))
    return RequestInfo(path, verb, True, group, version, namespace, resource, name, subresource, "/".join(rest[3:]))  # noqa: FBT003


def _name_selected(selector: str) -> str:
    for term in selector.split(","):
        key, _, value = term.replace("==", "=").partition("=")
        if key == "metadata.name":
            return value
    return ""


@dataclass
class Call:
    """One request on its way through the pipeline."""

    http: web.BaseRequest
    info: RequestInfo
    user: User
    warnings: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)

    @property
    def query(self) -> MultiMapping[str]:
        """The query parameters."""
        return self.http.query

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name, as the store names objects."""
        return self.info.namespace, self.info.name

    @property
    def manager(self) -> str:
        """Who managedFields names: the field manager asked for, else the user agent's first word."""
        asked = self.query.get("fieldManager", "")
        return asked or self.http.headers.get("User-Agent", "unknown").split("/")[0][:128]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What admission is asked about: an operation (CREATE, UPDATE, DELETE, CONNECT) and its objects.

    `warnings` collects what the client is to be told with the answer.
    """

    operation: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    user: User
    obj: dict[str, Any] | None
    old: dict[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
