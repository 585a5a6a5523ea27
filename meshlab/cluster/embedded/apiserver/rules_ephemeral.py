"""Which rules does somebody break who adds a container to a pod that runs (kubectl debug)?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.status import Cause
from meshlab.cluster.embedded.apiserver.words import broken_label

Object = dict[str, Any]

SUBRESOURCE = "ephemeralcontainers"
"""The one way to add an ephemeral container."""

_WHERE = "spec.ephemeralContainers"
_NOT_HERE = ("ports", "resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")


def ephemeral_rules(pod: Object, old: Object) -> Iterator[Cause]:
    """What is wrong with a pod's ephemeral containers, given those it had."""
    spec, known = pod["spec"], _by_name(old)
    for name in sorted(set(known) - set(_by_name(pod))):
        yield status.forbidden_field(_WHERE, f'existing ephemeral containers "{name}" may not be removed\n')
    others = [*(spec.get("initContainers") or ()), *spec["containers"]]
    taken = {container["name"] for container in others}
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        name = container.get("name") or ""
        if name in known and container != known[name]:
            yield status.forbidden_field(_WHERE, f'existing ephemeral containers "{name}" may not be changed\n')
        yield from _container(container, f"{_WHERE}[{index}]", taken, {row["name"] for row in others})
        taken.add(name)


def _container(container: Object, where: str, taken: set[str], targets: set[str]) -> Iterator[Cause]:
    name, target = container.get("name") or "", container.get("targetContainerName")
    if not name:
        yield status.required(f"{where}.name")
    elif problem := broken_label(name):
        yield status.invalid_value(f"{where}.name", name, problem)
    elif name in taken:
        yield status.duplicate(f"{where}.name", name)
    if not container.get("image"):
        yield status.required(f"{where}.image")
    if target and target not in targets:
        yield status.not_found_value(f"{where}.targetContainerName", target)
    for field in _NOT_HERE:
        if container.get(field):
            yield status.forbidden_field(f"{where}.{field}", "cannot be set for an Ephemeral Container")


def _by_name(pod: Object) -> dict[str, Object]:
    return {container["name"]: container for container in pod["spec"].get("ephemeralContainers") or ()}
