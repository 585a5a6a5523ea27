"""Which kinds does this API server know, and how is each one served?

`builtin.py` holds the rows of the built-in kinds; custom resource definitions add and remove rows while
the server runs. Discovery, OpenAPI, tables and the handlers all read the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CHANGE_VERBS = ("get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    """A part of a resource with a path of its own. `kind` is what is sent and received there."""

    name: str
    kind: str
    verbs: tuple[str, ...] = CHANGE_VERBS
    group: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Scale:
    """Where a kind keeps what the scale subresource shows: JSON paths such as `.spec.replicas`."""

    spec_replicas_path: str = ".spec.replicas"
    status_replicas_path: str = ".status.replicas"
    label_selector_path: str | None = ".spec.selector"


@dataclass(frozen=True, eq=False)
class Resource:
    """One row: a kind as one API version serves it.

    `schema` is the structural schema of a custom kind (built-in schemas come from the OpenAPI document);
    `storage_version` is the version objects are kept in when several are served; `storage_group` differs
    from `group` when two groups serve the same objects (`events`). `warning` goes with every answer. An `idle` kind is
    stored, but nothing in the embedded cluster acts on it; whoever writes one is told so.
    """

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    categories: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    printer_columns: tuple[Mapping[str, Any], ...] = ()
    custom: bool = False
    status_subresource: bool = False
    scale: Scale | None = None
    list_kind: str = ""
    storage_version: str = ""
    storage_group: str | None = None
    selectable_fields: tuple[str, ...] = ()
    warning: str = ""
    idle: bool = False

    def __post_init__(self) -> None:
        if not self.list_kind:
            object.__setattr__(self, "list_kind", f"{self.kind}List")
        if not self.storage_version:
            object.__setattr__(self, "storage_version", self.version)
        if self.storage_group is None:
            object.__setattr__(self, "storage_group", self.group)

    @cached_property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def storage_api_version(self) -> str:
        """The apiVersion objects are stored with."""
        return f"{self.storage_group}/{self.storage_version}" if self.storage_group else self.storage_version

    @cached_property
    def storage(self) -> str:
        """The name of the collection in the store: the same for every version of a kind."""
        return f"{self.plural}.{self.storage_group}" if self.storage_group else self.plural

    @cached_property
    def group_resource(self) -> str:
        """`pods`, `deployments.apps`: how error messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def group_kind(self) -> str:
        """`Pod`, `Deployment.apps`: how validation messages name the kind."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name."""
        return next((sub for sub in self.subresources if sub.name == name), None)


@dataclass
class Registry:
    """Every row, found by group, version and plural. `revision` grows with each change."""

    revision: int = 0
    _rows: dict[tuple[str, str, str], Resource] = field(default_factory=dict)

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Registry:
        """A registry of these rows."""
        registry = cls()
        registry._rows = {(row.group, row.version, row.plural): row for row in resources}
        return registry

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The row that serves a path."""
        return self._rows.get((group, version, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The row of an object's apiVersion and kind."""
        return next((row for row in self._rows.values() if row.kind == kind and row.api_version == api_version), None)

    def all(self) -> list[Resource]:
        """Every row, built-in kinds first, in the order they were added."""
        return list(self._rows.values())

    def group_versions(self) -> dict[str, list[str]]:
        """The versions of each group, in the order they were added."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._rows:
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return found

    def stored(self) -> list[Resource]:
        """One row for each collection in the store: its storage version."""
        rows: dict[str, Resource] = {}
        for row in self._rows.values():
            if "create" in row.verbs and "get" in row.verbs:
                chosen = rows.get(row.storage)
                if chosen is None or row.api_version == row.storage_api_version:
                    rows[row.storage] = row
        return list(rows.values())

    def add_custom(self, resource: Resource) -> None:
        """Serve a custom kind, or serve it in a new way."""
        self._rows[resource.group, resource.version, resource.plural] = resource
        self.revision += 1

    def remove_custom(self, group: str, plural: str, version: str | None = None) -> None:
        """Stop serving a custom kind: one version of it, or all."""
        for key, row in list(self._rows.items()):
            if row.custom and key[0] == group and key[2] == plural and version in (None, key[1]):
                del self._rows[key]
                self.revision += 1
