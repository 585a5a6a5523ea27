"""What is one proxy to know at one moment? All of its resources, frozen, and proven complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType

from meshlab.xds.resource import Resource, TypeUrl

_NONE: Mapping[str, Resource] = MappingProxyType({})


@dataclass(frozen=True)
class Snapshot:
    """Everything one proxy is told. `owner` is the SPIFFE id a proxy must have proven to read it."""

    owner: str
    resources: Mapping[TypeUrl, Mapping[str, Resource]]

    @classmethod
    def of(cls, owner: str, resources: Iterable[Resource]) -> Snapshot:
        """A snapshot of these resources. Of two with one type and name, the later holds."""
        by_type: dict[TypeUrl, dict[str, Resource]] = {}
        for resource in resources:
            by_type.setdefault(resource.type_url, {})[resource.name] = resource
        return cls(owner, MappingProxyType({url: MappingProxyType(named) for url, named in by_type.items()}))

    def of_type(self, url: TypeUrl) -> Mapping[str, Resource]:
        """The resources of one type, by name."""
        return self.resources.get(url, _NONE)

    @cached_property
    def version(self) -> str:
        """One word for the whole content: two snapshots with the same version tell a proxy the same."""
        digest = blake2b(self.owner.encode(), digest_size=8)
        for url in sorted(self.resources):
            digest.update(self.version_of(url).encode())
        return digest.hexdigest()

    def version_of(self, url: TypeUrl) -> str:
        """One word for the content of one type."""
        return self._versions.get(url, "")

    def consistent(self) -> list[str]:
        """What is named but missing, one sentence each. An empty list is a snapshot safe to send."""
        return [
            f"{resource.name} names {name}, which the snapshot lacks ({url.rpartition('.')[2]})"
            for named in self.resources.values()
            for resource in named.values()
            for url, name in resource.needs
            if name not in self.of_type(url)
        ]

    @cached_property
    def _versions(self) -> dict[TypeUrl, str]:
        versions = {}
        for url, named in self.resources.items():
            digest = blake2b(url.encode(), digest_size=8)
            for name in sorted(named):
                digest.update(f"{name}={named[name].version};".encode())
            versions[url] = digest.hexdigest()
        return versions
