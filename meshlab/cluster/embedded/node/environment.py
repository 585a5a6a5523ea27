"""Which environment variables does a container start with?"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from meshlab.cluster.embedded.node import fields
from meshlab.cluster.embedded.node.sources import MissingSourceError, Sources
from meshlab.kube import Object

_REFERENCE = re.compile(r"\$\$|\$\(([^()]+)\)")
_INHERITED = ("HOME", "USER", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONUSERBASE", "TZ")
_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def image_environment() -> dict[str, str]:
    """What the image itself would set: the daemon's Python and its programs first on PATH."""
    folders = [str(Path(sys.executable).parent), sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {"PATH": os.pathsep.join(dict.fromkeys(folders)), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **inherited}


async def container_environment(
    sources: Sources, pod: Object, container: Mapping[str, Any], given: Mapping[str, str]
) -> dict[str, str]:
    """All variables of a container. `given` are the node's own, which the container's env may override.

    Raises MissingSourceError when something it refers to isn't there.
    """
    namespace = pod["metadata"]["namespace"]
    result = {"HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"]}
    result |= _service_variables(sources, pod) | dict(given)
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix", "")
        if reference := source.get("configMapRef"):
            content = await sources.config_map(namespace, reference)
        else:
            content = await sources.secret(namespace, source["secretRef"])
        result |= {prefix + key: value.decode() for key, value in content.items() if _NAME.fullmatch(prefix + key)}
    for variable in container.get("env") or []:
        value = await _value(sources, pod, container, variable, result)
        if value is not None:
            result[variable["name"]] = value
    return result


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; what isn't defined stays as it is, and `$$` is a dollar."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


async def _value(
    sources: Sources,
    pod: Object,
    container: Mapping[str, Any],
    variable: Mapping[str, Any],
    so_far: Mapping[str, str],
) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value", ""), so_far)
    if reference := source.get("fieldRef"):
        return fields.pod_field(pod, reference["fieldPath"])
    if reference := source.get("resourceFieldRef"):
        return fields.resource_field(pod, reference, container["name"])
    namespace = pod["metadata"]["namespace"]
    if reference := source.get("configMapKeyRef"):
        return _key("configmap", reference, await sources.config_map(namespace, reference))
    reference = source["secretKeyRef"]
    return _key("secret", reference, await sources.secret(namespace, reference))


def _key(kind: str, reference: Mapping[str, Any], content: Mapping[str, bytes]) -> str | None:
    if reference["key"] in content:
        return content[reference["key"]].decode()
    if reference.get("optional"):
        return None
    raise MissingSourceError(f"couldn't find key {reference['key']} in {kind} {reference['name']}")


def _service_variables(sources: Sources, pod: Object) -> dict[str, str]:
    result: dict[str, str] = {}
    if pod["spec"].get("enableServiceLinks", True):
        for service in sources.services(pod["metadata"]["namespace"]):
            result |= dict(_variables_of(service))
    for service in sources.services("default"):
        if service["metadata"]["name"] == "kubernetes":
            result |= dict(_variables_of(service))
    return result


def _variables_of(service: Object) -> Iterator[tuple[str, str]]:
    name = service["metadata"]["name"].upper().replace("-", "_")
    address, ports = service["spec"]["clusterIP"], service["spec"].get("ports") or []
    yield f"{name}_SERVICE_HOST", address
    for index, port in enumerate(ports):
        number, protocol = str(port["port"]), port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{address}:{number}"
        if index == 0:
            yield f"{name}_SERVICE_PORT", number
            yield f"{name}_PORT", url
        if port.get("name"):
            yield f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}", number
        prefix = f"{name}_PORT_{number}_{protocol}"
        yield prefix, url
        yield f"{prefix}_PROTO", protocol.lower()
        yield f"{prefix}_PORT", number
        yield f"{prefix}_ADDR", address
