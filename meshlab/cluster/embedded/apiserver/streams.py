"""How does one get into a pod: a port of it, a command in a container, the streams of one that runs?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import port_forward, remote_command, status
from meshlab.cluster.embedded.apiserver.pod_logs import choose_container
from meshlab.cluster.embedded.pod_streams import NotRunningError, PodStreams

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.request import Call

Object = dict[str, Any]

SERVED = ("attach", "exec", "portforward")


async def serve(call: Call, pod: Object, node: PodStreams | None) -> web.StreamResponse:
    """Answer one of these subresources. Raises 400 and 503."""
    forwards = call.info.subresource == "portforward"
    container = "" if forwards else choose_container(pod, call.query.get("container", ""))
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {call.info.name} does not have a host assigned")
    if node is None:
        raise status.unavailable("the node is not running")
    if forwards:
        return await port_forward.serve(call, pod, partial(node.dial, pod))
    try:
        node.check(pod, container)
    except NotRunningError as error:
        return web.Response(status=500, text=str(error))  # a kubelet's answer: kubectl shows the text as it is
    if call.info.subresource == "attach":
        return await remote_command.serve(call, partial(node.attach, pod, container))
    argv = call.query.getall("command", [])
    if not argv:
        raise status.bad_request("a command must be specified")
    return await remote_command.serve(call, partial(node.execute, pod, container, argv))
