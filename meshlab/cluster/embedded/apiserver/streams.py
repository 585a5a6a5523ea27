"""How does one get into a pod: a port of it, a command in a container, the terminal of one that runs?

`PodStreams` is what the API server asks of the node; the node of the embedded cluster runs in the same process
and is called, where a real API server calls a kubelet.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from meshlab.cluster.embedded.apiserver import port_forward, status

if TYPE_CHECKING:
    from aiohttp import web

    from meshlab.cluster.embedded.apiserver.request import Call

Object = dict[str, Any]

SERVED = ("portforward",)


class PodStreams(Protocol):
    """What the node does for those who want to get into its pods."""

    async def dial(self, pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of a pod, made inside the pod. Raises OSError."""


async def serve(call: Call, pod: Object, node: PodStreams | None) -> web.StreamResponse:
    """Answer `pods/portforward`. Raises 400 for a pod that is on no node."""
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {call.info.name} does not have a host assigned")
    if node is None:
        raise status.unavailable("the node is not running")
    return await port_forward.serve(call, pod, partial(node.dial, pod))
