"""What does this server serve? Discovery documents, the version, and health.

Every document is made from the registry's rows; aggregated API servers add resource lists of their own.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version as package_version
from typing import Any

from meshlab.cluster.embedded.apiserver.registry import Resource, Subresource

MAJOR, MINOR = "1", "34"
"""The release of Kubernetes whose behaviour this server follows."""

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_CORE_FIRST = ("", "apiregistration.k8s.io", "apps")
_STABILITY = {"alpha": 1, "beta": 2, "": 3}


def wants_aggregated(accept: str) -> str:
    """The media type to answer with when a client prefers aggregated discovery, else empty."""
    for part in accept.split(","):
        parameters = {item.strip() for item in part.split(";")}
        if "as=APIGroupDiscoveryList" in parameters and "g=apidiscovery.k8s.io" in parameters:
            for version in ("v2", "v2beta1"):
                if f"v={version}" in parameters:
                    return AGGREGATED.replace("v=v2", f"v={version}")
        elif parameters & {"application/json", "*/*"}:
            return ""
    return ""


def api_versions(address: str) -> dict[str, Any]:
    """`/api`."""
    where = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": where}


def group_list(rows: Iterable[Resource], others: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """`/apis`: every group but the core one. `others` are the versions of aggregated groups."""
    versions = versions_by_group(rows, others)
    groups = [_group(name, found) for name, found in versions.items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(name: str, versions: Sequence[str]) -> dict[str, Any]:
    """`/apis/GROUP`."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def resource_list(api_version: str, rows: Iterable[Resource]) -> dict[str, Any]:
    """`/api/v1`, `/apis/GROUP/VERSION`: resources and their subresources, in the order of their names."""
    resources: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: row.plural):
        resources.append(_resource(row))
        resources += [_subresource(row, sub) for sub in row.subresources]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def aggregated(
    rows: Iterable[Resource], others: Iterable[Mapping[str, Any]] = (), *, version: str = "v2"
) -> dict[str, Any]:
    """All groups with their resources in one document: what kubectl asks for first."""
    rows = list(rows)
    items = [
        {
            "metadata": {"name": name} if name else {},
            "versions": [
                {
                    "version": each,
                    "resources": [
                        _discovered(row)
                        for row in sorted(rows, key=lambda row: row.plural)
                        if (row.group, row.version) == (name, each)
                    ],
                    "freshness": "Current",
                }
                for each in versions
            ],
        }
        for name, versions in versions_by_group(rows).items()
    ]
    api_version = f"apidiscovery.k8s.io/{version}"
    return {"kind": "APIGroupDiscoveryList", "apiVersion": api_version, "metadata": {}, "items": [*items, *others]}


def versions_by_group(
    rows: Iterable[Resource], others: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[str]]:
    """The versions of each group, the preferred one first; a real server's order of groups."""
    found: dict[str, list[str]] = {}
    for name, version in [
        *((row.group, row.version) for row in rows),
        *((name, version) for name, versions in (others or {}).items() for version in versions),
    ]:
        versions = found.setdefault(name, [])
        if version not in versions:
            versions.append(version)
    first = {name: found[name] for name in _CORE_FIRST if name in found}
    return {name: sorted(versions, key=_preference, reverse=True) for name, versions in (first | found).items()}


def _preference(version: str) -> tuple[int, int, int, str]:
    """Stable before beta before alpha, newer before older, as Kubernetes orders versions."""
    digits, stage, number = version.removeprefix("v"), "", "0"
    for word in ("alpha", "beta"):
        if word in digits:
            digits, _, number = digits.partition(word)
            stage = word
    if not version.startswith("v") or not digits.isdigit() or not (number or "0").isdigit():
        return 0, 0, 0, version
    return _STABILITY[stage], int(digits), int(number or 0), ""


def _group(name: str, versions: Sequence[str]) -> dict[str, Any]:
    rows = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": rows, "preferredVersion": rows[0]}


def _resource(row: Resource) -> dict[str, Any]:
    stored = {"storageVersionHash": _storage_hash(row)} if "get" in row.verbs else {}
    return {
        "name": row.plural,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": list(row.verbs),
        **({"shortNames": list(row.short_names)} if row.short_names else {}),
        **({"categories": list(row.categories)} if row.categories else {}),
        **stored,
    }


def _subresource(row: Resource, sub: Subresource) -> dict[str, Any]:
    return {
        "name": f"{row.plural}/{sub.name}",
        "singularName": "",
        "namespaced": row.namespaced,
        **({"group": sub.group} if sub.group else {}),
        **({"version": sub.version} if sub.version else {}),
        "kind": sub.kind,
        "verbs": list(sub.verbs),
    }


def _storage_hash(row: Resource) -> str:
    digest = hashlib.sha256(f"{row.storage_group}/{row.storage_version}/{row.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _discovered(row: Resource) -> dict[str, Any]:
    kind = {"group": row.group, "version": row.version, "kind": row.kind}
    return {
        "resource": row.plural,
        "responseKind": kind,
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": list(row.verbs),
        **({"shortNames": list(row.short_names)} if row.short_names else {}),
        **({"categories": list(row.categories)} if row.categories else {}),
        **({"subresources": [_discovered_part(row, sub) for sub in row.subresources]} if row.subresources else {}),
    }


def _discovered_part(row: Resource, sub: Subresource) -> dict[str, Any]:
    group_, version = (row.group, row.version) if sub.group is None else (sub.group, sub.version)
    return {
        "subresource": sub.name,
        "responseKind": {"group": group_, "version": version, "kind": sub.kind},
        "verbs": list(sub.verbs),
    }


def version() -> dict[str, str]:
    """`/version`: the Kubernetes release this server follows, and that it is meshlab's."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": f"v{MAJOR}.{MINOR}.0+meshlab.{package_version('meshlab')}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "cpython",
        "platform": f"{platform.system().lower()}/{machine}",
    }
