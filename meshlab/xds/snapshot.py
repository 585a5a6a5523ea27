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
        return {url: self.of_type(url) for url in self.versions}

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
        return self.versions.get(url, "")

    @cached_property
    def versions(self) -> Mapping[TypeUrl, str]:
        """The same for every type."""
        found: dict[TypeUrl, str] = {}
        for part in self.parts:
            for url, version in part.versions.items():
                found[url] = combined((found[url], version)) if url in found else version
        return found

    def consistent(self) -> list[str]:
        """What is named but missing, one sentence each. An empty list is a snapshot safe to send."""
        return [
            f"{needer} names {name}, which the snapshot lacks ({url.rpartition('.')[2]})"
            for part in self.parts
            for (url, name), needer in part.unmet.items()
            if self.get(url, name) is None
        ]
