"""What are many proxies told alike? Resources that go together, frozen; what is worked out of them serves all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType

from meshlab.xds.resource import Resource, TypeUrl

_NONE: Mapping[str, Resource] = MappingProxyType({})
_NOTHING: frozenset[str] = frozenset()


class Part:
    """A piece of what a proxy is told. Snapshots that have a piece in common hold the very same part.

    So a change to it is compared, and its versions are counted, once, however many proxies it concerns.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        by_type: dict[TypeUrl, dict[str, Resource]] = {}
        for resource in resources:
            by_type.setdefault(resource.type_url, {})[resource.name] = resource
        self.resources: Mapping[TypeUrl, Mapping[str, Resource]] = MappingProxyType(
            {url: MappingProxyType(named) for url, named in by_type.items()}
        )
        self._differing: dict[tuple[str, TypeUrl], frozenset[str]] = {}

    def of_type(self, url: TypeUrl) -> Mapping[str, Resource]:
        """The resources of one type, by name. Of two with one name, the later holds."""
        return self.resources.get(url, _NONE)

    @cached_property
    def versions(self) -> Mapping[TypeUrl, str]:
        """One word for the content of each type."""
        versions = {}
        for url, named in self.resources.items():
            digest = blake2b(url.encode(), digest_size=8)
            for name in sorted(named):
                digest.update(f"{name}={named[name].version};".encode())
            versions[url] = digest.hexdigest()
        return versions

    @cached_property
    def version(self) -> str:
        """One word for the whole content."""
        return combined(self.versions[url] for url in sorted(self.versions))

    @cached_property
    def unmet(self) -> Mapping[tuple[TypeUrl, str], str]:
        """What resources here need and this part lacks, and the name of one that needs it."""
        return {
            (url, name): resource.name
            for named in self.resources.values()
            for resource in named.values()
            for url, name in resource.needs
            if name not in self.of_type(url)
        }

    def differing(self, before: Part, url: TypeUrl) -> frozenset[str]:
        """The names of one type that are other, new or gone since an earlier state of this part."""
        if self.versions.get(url) == before.versions.get(url):
            return _NOTHING
        key = before.version, url
        if key not in self._differing:
            mine, theirs = self.of_type(url), before.of_type(url)
            self._differing[key] = frozenset(
                name
                for name in mine.keys() | theirs.keys()
                if name not in mine or name not in theirs or mine[name].version != theirs[name].version
            )
        return self._differing[key]


EMPTY = Part(())


def combined(versions: Iterable[str]) -> str:
    """One word for several."""
    return blake2b(";".join(versions).encode(), digest_size=8).hexdigest()
