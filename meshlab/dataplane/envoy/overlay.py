"""How is an overlay laid over what the policies came to? On Envoy's JSON, resource by resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.documents import NoMessageError, document, message
from meshlab.dataplane.envoy.filters import insert
from meshlab.dataplane.envoy.patches import PatchError, patched
from meshlab.dataplane.raw import Change, Misfit, Overlaid
from meshlab.mesh.overlay import Overlay, Patch
from meshlab.xds import Part, Resource, Snapshot

_KINDS = {"Listener": names.LISTENER, "Route": names.ROUTES, "Cluster": names.CLUSTER}
_ADDABLE = (names.LISTENER, names.CLUSTER)
"""What Envoy asks for by itself; other kinds only if something names them."""
_Key = tuple[str, str]


def overlaid(snapshot: Snapshot, overlays: Sequence[Overlay]) -> Overlaid:
    """A snapshot with overlays laid over it. One that does not fit is left out as a whole, and said to be."""
    changes: list[Change] = []
    misfits: list[Misfit] = []
    for overlay in overlays:
        try:
            made = list(_changes(snapshot, overlay))
            changed = _with(snapshot, made)
        except PatchError as error:
            misfits.append(Misfit(overlay, error.field, error.what, error.cure))
            continue
        if problems := changed.consistent():
            cure = "an overlay adds clusters and listeners only: let it name what is there (lab.xds(pod) lists it)"
            misfits.append(Misfit(overlay, "spec", problems[0], cure))
            continue
        snapshot = changed
        changes += made
    return Overlaid(snapshot, tuple(changes), tuple(misfits))


def _changes(snapshot: Snapshot, overlay: Overlay) -> Iterator[Change]:
    """What one overlay makes of the resources that it fits."""
    patches = list(enumerate(overlay.patches))
    for kind, url in _KINDS.items():
        present = snapshot.of_type(url)
        of_kind = [(index, patch) for index, patch in patches if patch.kind == kind]
        new = {patch.name for index, patch in of_kind if not _fits_any(patch, present) and _may_be_new(index, patch)}
        for name in (*present, *sorted(new)):
            mine = tuple((index, patch) for index, patch in of_kind if fnmatchcase(name, patch.name))
            before = present.get(name)
            if mine or (url == names.LISTENER and overlay.filters):
                after = _edited(before, url, name, mine, overlay)
                if before is None or after.version != before.version:
                    yield Change(overlay, before, after)


def _fits_any(patch: Patch, present: Iterable[str]) -> bool:
    return any(fnmatchcase(name, patch.name) for name in present)


def _may_be_new(index: int, patch: Patch) -> bool:
    """Whether a patch that fits nothing may make something. Raises PatchError where it can't."""
    if _KINDS[patch.kind] in _ADDABLE and not set(patch.name) & set("*?["):
        return True
    cure = "lab.xds(pod) lists the names"
    raise PatchError(f"spec.patches[{index}].name", f"no {patch.kind} is called {patch.name}", cure)


@lru_cache(maxsize=1024)
def _edited(
    before: Resource | None, url: str, name: str, patches: tuple[tuple[int, Patch], ...], overlay: Overlay
) -> Resource:
    """The resource after an overlay. Many proxies may have it: it is made once."""
    data: Any = None if before is None else document(before)
    for index, patch in patches:
        data = patched(data, patch, f"spec.patches[{index}]")
    field = f"spec.patches[{patches[0][0]}]" if patches else "spec.filters"
    if not isinstance(data, dict) or data.get("name") != name:
        cure = f"let the document keep its name: {name}"
        raise PatchError(field, f"what is left is nothing called {name}", cure)
    if url == names.LISTENER:
        insert(data, overlay)
    try:
        made = message(url, data)
    except NoMessageError as error:
        raise PatchError(field, f"what is left is no {url.rpartition('.')[2]}: {error}", _PROTOCOL) from error
    needs = tuple(_needs(url, data, before))
    renews = tuple(pair for pair in (before.renews if before else ()) if pair in needs)
    return Resource.of(name, made, needs=needs, renews=renews)


_PROTOCOL = "compare with Envoy's API reference: www.envoyproxy.io/docs/envoy/latest/api-v3"


def _needs(url: str, data: dict[str, Any], before: Resource | None) -> Iterator[_Key]:
    """What the document names now."""
    texts = set(_texts(data))
    for kind, name in before.needs if before else ():
        if kind != names.ENDPOINTS and name in texts:
            yield kind, name
    if url == names.CLUSTER and data.get("type") == "EDS":
        yield names.ENDPOINTS, data.get("eds_cluster_config", {}).get("service_name") or data["name"]
    known = {name for kind, name in before.needs if kind == names.ROUTES} if before else set[str]()
    for routes in _routes(data):
        if routes not in known:
            yield names.ROUTES, routes


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for item in data.values():
            yield from _texts(item)
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)


def _routes(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        if isinstance(name := data.get("route_config_name"), str):
            yield name
        for item in data.values():
            yield from _routes(item)
    elif isinstance(data, list):
        for item in data:
            yield from _routes(item)


def _with(snapshot: Snapshot, changes: Iterable[Change]) -> Snapshot:
    """The snapshot after changes; parts that have none of them stay the very same."""
    after = {(change.after.type_url, change.after.name): change.after for change in changes}
    if not after:
        return snapshot
    new = [change.after for change in changes if change.before is None]
    before = {key for part in snapshot.parts for key in _named(_all(part))}
    named = _named([*(after.get(_key(item), item) for part in snapshot.parts for item in _all(part)), *new])
    idle = before - named
    """What nothing names any more: Envoy will not ask for it."""
    parts = []
    for index, part in enumerate(snapshot.parts):
        last = index == len(snapshot.parts) - 1
        kept = [after.get(_key(item), item) for item in _all(part) if _key(item) not in idle]
        same = len(kept) == len(list(_all(part))) and all(_key(item) not in after for item in kept)
        parts.append(part if same and not (last and new) else Part([*kept, *(new if last else ())]))
    return Snapshot(snapshot.owner, tuple(parts))


def _all(part: Part) -> Iterator[Resource]:
    for named in part.resources.values():
        yield from named.values()


def _key(resource: Resource) -> _Key:
    return resource.type_url, resource.name


def _named(resources: Iterable[Resource]) -> set[_Key]:
    return {pair for resource in resources for pair in resource.needs}
