"""What does an edge look like to whoever listens on the wire, and what inside the server's pod?

A container with NET_RAW and nothing else is added to the server's pod (as `kubectl debug` does), listens for some
seconds on all its interfaces, and ends. Between pods passes TLS; on the pod's own loopback interface, between proxy
and app, passes what the app said.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

from meshlab.errors import LabError
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.client import STRATEGIC_PATCH
from meshlab.kube.objects import NODE, POD, labels_of
from meshlab.lab.tap_target import find
from meshlab.lab.tapped import Wiretap

_START_SECONDS = 60
_PAUSE_SECONDS = 0.1
_MOST_SEGMENTS = 400
_POD_NETWORK = "meshlab.dev/pod-network"


async def wiretap(kube: Kube, image: str, source: str, service: str, seconds: float) -> Wiretap:
    """Listen to an edge. Raises LabError: ML508 no such calls, ML509 no wire to tap, ML510 it could not listen."""
    target = await find(kube, source, service)
    await _require_a_wire(kube, target.pod)
    name = f"wiretap-{uuid.uuid4().hex[:6]}"
    command = ["python", "-m", "meshlab.observe.capture", "--port", str(target.port)]
    command += ["--seconds", f"{seconds:g}", "--segments", str(_MOST_SEGMENTS)]
    await _add(kube, target.pod, _container(name, image, command))
    await _started(kube, target.pod, name)
    segments = [heard async for line in _lines(kube, target.pod, name) if (heard := target.heard(line))]
    metadata = target.pod["metadata"]
    where = f"{metadata['namespace']}/{metadata['name']}"
    return Wiretap(f"{target.caller} → {target.service}", where, seconds, tuple(segments))


async def _require_a_wire(kube: Kube, pod: Object) -> None:
    node = await kube.get(NODE, pod["spec"]["nodeName"])
    if labels_of(node).get(_POD_NETWORK) == "loopback":
        what = "the pod network `loopback` has no wire between pods: all of them share the machine's loopback interface"
        hint = "meshlab up --network namespaces, or meshlab up --cluster kind"
        raise LabError("ML509", what, about=f"Node {node['metadata']['name']}", hint=hint)


def _container(name: str, image: str, command: list[str]) -> dict[str, Any]:
    """Root, because a container of another user is given no capability; it can do nothing but listen."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "securityContext": {
            "runAsUser": 0,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
        },
    }


async def _add(kube: Kube, pod: Object, container: dict[str, Any]) -> None:
    metadata, body = pod["metadata"], {"spec": {"ephemeralContainers": [container]}}
    try:
        await kube.patch(
            POD,
            metadata["name"],
            body,
            metadata["namespace"],
            content_type=STRATEGIC_PATCH,
            subresource="ephemeralcontainers",
        )
    except ApiError as error:
        about = f"Pod {metadata['namespace']}/{metadata['name']}"
        raise LabError("ML510", f"no container may be added: {error.message}", about=about) from error


async def _started(kube: Kube, pod: Object, name: str) -> None:
    """Return when the container has started, and so has a log."""
    metadata, state = pod["metadata"], dict[str, Any]()
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not {"running", "terminated"} & state.keys():
                await asyncio.sleep(_PAUSE_SECONDS)
                status = (await kube.get(POD, metadata["name"], metadata["namespace"])).get("status") or {}
                rows = status.get("ephemeralContainerStatuses") or []
                state = next((row["state"] for row in rows if row["name"] == name), {})
    except TimeoutError as error:
        waiting = state.get("waiting") or {}
        what = f"its container has not started: {waiting.get('message') or waiting.get('reason') or 'no news of it'}"
        where = f"{metadata['namespace']}/{metadata['name']}"
        hint = f"kubectl describe pod -n {metadata['namespace']} {metadata['name']}"
        raise LabError("ML510", what, about=f"Pod {where}", hint=hint) from error


async def _lines(kube: Kube, pod: Object, name: str) -> AsyncIterator[dict[str, Any]]:
    """What the capture prints, as it does."""
    metadata, text = pod["metadata"], ""
    path = POD.path(metadata["namespace"], metadata["name"], "log")
    listens = False
    async for raw in kube.lines(path, {"container": name, "follow": "true"}):
        text = raw.decode(errors="replace").strip()
        line = json.loads(text) if text.startswith("{") else {}
        listens |= "listening" in line
        if "interface" in line:
            yield line
    if not listens:
        about = f"Pod {metadata['namespace']}/{metadata['name']}"
        raise LabError("ML510", f"it could not listen: {text or 'it said nothing'}", about=about)
