"""What is one proxy to know at one moment? All of its resources, frozen, and proven complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from meshlab.xds.part import Part, combined
from meshlab.xds.resource import Resource, TypeUrl


@dataclass(frozen=True)
class Snapshot:
    """Everything one proxy is told. `owner` is the SPIFFE id a proxy must have proven to read it.

    No two parts have a resource of one type and name.
    """

    owner: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, owner: str, resources: Iterable[Resource]) -> Snapshot:
        """A snapshot of these resources, shared with nobody."""
        return cls(owner, (Part(resources),))

    @property
    def resources(self) -> Mapping[TypeUrl, Mapping[str, Resource]]:
        """Everything, by type and name; put together when asked for."""
        return {url: self.of_type(url) for url in self.types}

    @property
    def types(self) -> frozenset[TypeUrl]:
        """The types it has resources of."""
        return frozenset(url for part in self.parts for url in part.resources)

    def of_type(self, url: TypeUrl) -> Mapping[str, Resource]:
        """The resources of one type, by name; put together when asked for."""
        return {name: resource for part in self.parts for name, resource in part.of_type(url).items()}

    def get(self, url: TypeUrl, name: str) -> Resource | None:
        """The resource of this type and name."""
        for part in self.parts:
            if (found := part.of_type(url).get(name)) is not None:
                return found
        return None

    @cached_property
    def version(self) -> str:
        """One word for the whole content: two snapshots with the same version tell a proxy the same."""
        return combined((self.owner, *(part.version for part in self.parts)))

    def version_of(self, url: TypeUrl) -> str:
        """One word for the content of one type."""
        versions = [part.versions[url] for part in self.parts if url in part.versions]
        return versions[0] if len(versions) == 1 else combined(versions) if versions else ""

    def consistent(self) -> list[str]:
        """What is named but missing, one sentence each. An empty list is a snapshot safe to send."""
        return [
            f"{needer} names {name}, which the snapshot lacks ({url.rpartition('.')[2]})"
            for part in self.parts
            for (url, name), needer in part.unmet.items()
            if self.get(url, name) is None
        ]
