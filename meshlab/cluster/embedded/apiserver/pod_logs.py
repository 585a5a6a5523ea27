"""How does one read what a container has written?"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import status
from meshlab.errors import ClusterError

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.request import Call

Object = dict[str, Any]


LogReader = Callable[[str, str, str, Mapping[str, str]], Awaitable[AsyncIterator[bytes]]]
"""Namespace, pod, container and the query of `GET pods/log` → the log. Raises ClusterError when there is none."""


async def serve(call: Call, pod: Object, read_log: LogReader | None) -> web.StreamResponse:
    """The log as plain text; with `follow` it stays open until the container ends."""
    container = choose_container(pod, call.query.get("container", ""))
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {call.info.name} does not have a host assigned")
    if read_log is None:
        raise status.unavailable("the node is not running")
    try:
        chunks = await read_log(*call.key, container, call.query)
    except ClusterError as error:
        raise status.bad_request(error.what) from error
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    answer.enable_chunked_encoding()
    await answer.prepare(call.http)
    with contextlib.suppress(ConnectionError):  # the client has gone: there is nobody to tell
        async for chunk in chunks:
            await answer.write(chunk)
        await answer.write_eof()
    return answer


def choose_container(pod: Object, asked: str) -> str:
    """The container meant. Raises 400 when there are several and none is named, or none of that name."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    containers: list[str] = [row["name"] for row in spec.get("containers") or ()]
    first = [row["name"] for row in spec.get("initContainers") or ()]
    if asked:
        added = [row["name"] for row in spec.get("ephemeralContainers") or ()]
        if asked in (*containers, *first, *added):
            return asked
        raise status.bad_request(f"container {asked} is not valid for pod {name}")
    if len(containers) == 1:
        return containers[0]
    choice = f"choose one of: [{' '.join(containers)}]"
    if first:
        choice += f" or one of the init containers: [{' '.join(first)}]"
    raise status.bad_request(f"a container name must be specified for pod {name}, {choice}")
