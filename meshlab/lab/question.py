"""Who is meant? Words such as ``bookbuyer``, ``bookstore:14001`` and ``GET /books`` become a call."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping

from meshlab.errors import LabError
from meshlab.mesh.call import Call
from meshlab.mesh.identity import Identity
from meshlab.mesh.service import Service, Workload
from meshlab.mesh.world import World


def call_of(
    world: World, source: str, destination: str, request: str = "GET /", headers: Mapping[str, str] | None = None
) -> Call:
    """The call that the words mean. Raises LabError ML511 for a name nobody has, or several."""
    service, port = service_of(world, destination)
    method, _, path = request.strip().rpartition(" ")
    return Call(
        source=identity_of(world, source),
        service=service.name,
        port=port,
        method=(method.strip() or "GET").upper(),
        path=path if path.startswith(("/", "*")) else f"/{path}",
        headers=headers or {},
    )


def identity_of(world: World, name: str) -> Identity | None:
    """Whose calls are meant: a pod's, a workload's or a service account's. None: of pods without a sidecar."""
    found = {workload.identity if workload.meshed else None for workload in workloads_of(world, name)}
    if found:
        found = found - {None} or found
    else:
        known = {i for p in world.permissions for i in (p.destination, *p.sources)}
        found = {identity for identity in known if name in {identity.service_account, str(identity)}}
    if len(found) != 1:
        raise _unclear("caller", name, map(str, found), _callers(world))
    return found.pop()


def workloads_of(world: World, name: str) -> list[Workload]:
    """The pods of this name, or else those of a workload of this name, or else those of a service account."""
    ways: tuple[Callable[[Workload], str], ...] = (
        lambda workload: workload.name,
        lambda workload: workload.owner[1],
        lambda workload: workload.identity.service_account,
    )
    for way in ways:
        found = [item for item in world.workloads if name in {way(item), f"{item.namespace}/{way(item)}"}]
        if found:
            return found
    return []


def service_of(world: World, name: str) -> tuple[Service, int]:
    """The Service and its port: ``bookstore``, ``bookstore/bookstore``, ``bookstore.bookstore``, with ``:port``."""
    host, _, number = name.partition(":")
    found = [
        service for service in world.services if host in {service.name.name, str(service.name), *service.name.hosts()}
    ]
    if len(found) != 1:
        raise _unclear("Service", host, (str(item.name) for item in found), (str(item.name) for item in world.services))
    ports = [port.number for port in found[0].ports]
    if not number and len(ports) == 1:
        return found[0], ports[0]
    if not number.isdecimal() or int(number) not in ports:
        said = f"port {number}" if number else "no port"
        what = f"{said} is asked for, and it has {', '.join(map(str, ports)) or 'none'}"
        raise LabError("ML511", what, about=f"Service {found[0].name}", hint=f"write {found[0].name}:PORT")
    return found[0], int(number)


def _callers(world: World) -> Iterable[str]:
    return (f"{workload.namespace}/{workload.owner[1] or workload.name}" for workload in world.workloads)


def _unclear(what: str, name: str, found: Iterable[str], known: Iterable[str]) -> LabError:
    several = sorted(found)
    if several:
        return LabError("ML511", "several have this name", about=f"{what} {name}", hint=f"say {' or '.join(several)}")
    names = sorted(set(known))
    short = {one.rpartition("/")[2]: one for one in names}
    near = difflib.get_close_matches(name, [*names, *short], n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:_MOST_NAMES]) or 'none'}"
    return LabError("ML511", "there is none of this name", about=f"{what} {name}", hint=hint)


_MOST_NAMES = 12
