"""How does a request become an answer?

The pipeline, in order::

    parse         path and method → RequestInfo                                       request.py
    authenticate  who asks                                                            surface.authenticate
    authorize     may they                                                            surface.authorize
    route         a path that is no resource                                          surface.serve_path
                  a group version claimed by an APIService                            surface.aggregate
                  a create-only kind (TokenReview …)                                  surface.review
                  a resource or a subresource                                         handlers.py
    decode        JSON and YAML; protobuf                                             body.py, surface.decode_protobuf
    check         unknown fields and types (fieldValidation=Strict|Warn|Ignore)       surface.check
    default       built-in kinds; custom kinds (defaults of the schema, pruning)      defaults*.py, surface.default
    mutate        mutating webhooks                                                   surface.mutate
    prepare       derived fields and rules of CRDs, APIServices, webhooks, RBAC       surface.prepare
    validate      rules of the built-in kinds, names, labels, what may not change     validation*.py
    ask           validating webhooks                                                 surface.validate
    store         durable, then visible, then answered                                store.py
    encode        JSON, Table (surface.table), PartialObjectMetadata                  encode.py

`Surface` (surface.py) is the one place where the pipeline meets discovery, schemas, tables, webhooks,
authentication and the rest; its methods' docstrings are the contract. Anything may raise a StatusError
(status.py), which is answered as it is. A module that needs to read or write objects uses
`server.store` (`get`, `list`, `watch`) or, to go through admission, `server.handlers`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import metrics, status
from meshlab.cluster.embedded.apiserver.builtin import builtin_resources
from meshlab.cluster.embedded.apiserver.dial import OpenSocket, ordinary
from meshlab.cluster.embedded.apiserver.handlers import Handlers
from meshlab.cluster.embedded.apiserver.initial import create_namespaces, publish
from meshlab.cluster.embedded.apiserver.registry import Registry
from meshlab.cluster.embedded.apiserver.request import Call, request_info
from meshlab.cluster.embedded.apiserver.status import StatusError
from meshlab.cluster.embedded.apiserver.store import StorageError, Store
from meshlab.cluster.embedded.apiserver.surface import Surface

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.pki import Pki
    from meshlab.cluster.embedded.apiserver.pod_logs import LogReader
    from meshlab.cluster.embedded.pod_streams import PodStreams
    from meshlab.cluster.embedded.usage import Measure

log = logging.getLogger(__name__)


class ApiServer:
    """A Kubernetes API server over one SQLite file. `await start(...)`, later `await stop()`.

    `block` is the beginning of the lab's addresses: ClusterIPs are <block>.128.1 and above. `inside` is where pods
    find the server, if that is not where `start` listens; `serve_at` has it listen there.
    `read_log` is how the node is asked for a container's log, `pods` how one gets into a pod, `open_socket` how
    one reaches it; whoever starts both sets them.
    """

    def __init__(self, state_dir: Path, pki: Pki, block: str = "127.64", inside: tuple[str, int] | None = None) -> None:
        self.state_dir = state_dir
        self.pki = pki
        self.block = block
        self.open_socket: OpenSocket = ordinary
        self._inside = inside
        self.registry = Registry.of(builtin_resources())
        self.store: Store
        self.stopping = False
        self._lasting: set[asyncio.Task[Any]] = set()
        self.surface = Surface(self)
        self.handlers = Handlers(self)
        self.url = ""
        self.read_log: LogReader | None = None
        self.pods: PodStreams | None = None
        self.measure: Measure | None = None
        self._runner: web.ServerRunner | None = None
        self._other_site: web.SockSite | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Open the store and listen; the port that was bound (a free one for 0).

        Raises OSError for a port that can't be had, before anything else is touched.
        """
        listener = socket.create_server((host, port), backlog=1024)
        bound: int = listener.getsockname()[1]
        self.store = Store(self.state_dir / "state.db")
        await create_namespaces(self.store, self.registry)
        await self.surface.start()
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=2)
        await self._runner.setup()
        await publish(self.store, self.registry, f"{self.block}.128.1", *(self._inside or (host, bound)))
        await web.SockSite(self._runner, listener, ssl_context=self.pki.server_context()).start()
        self.url = f"https://{host}:{bound}"
        return bound

    def offer_metrics(self, measure: Measure) -> None:
        """Serve metrics.k8s.io from now on."""
        self.measure = measure
        for row in metrics.RESOURCES:
            self.registry.add_custom(row)

    async def serve_at(self, listener: socket.socket) -> None:
        """Answer at another socket, too, and no longer at the one given before."""
        if self._runner is None:
            raise RuntimeError("start first")
        before, self._other_site = (
            self._other_site,
            web.SockSite(self._runner, listener, ssl_context=self.pki.server_context()),
        )
        if before:
            await before.stop()
        await self._other_site.start()

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """For a request that may last as long as its client likes, and writes nothing: it ends with the server."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # there is one wherever a coroutine runs
        self._lasting.add(task)
        try:
            yield
        finally:
            self._lasting.discard(task)

    async def stop(self) -> None:
        """End open watches and streams, finish what was begun, close the store."""
        self.stopping = True
        for task in self._lasting:
            task.cancel()
        self.store.wake_watchers()
        if self._runner:
            await self._runner.cleanup()
        await self.surface.stop()
        await self.store.close()

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(http)
        except StatusError as error:
            return _failure(error)
        except asyncio.CancelledError:
            raise
        except StorageError as error:
            log.error("%s %s: %s", http.method, http.path, error)  # noqa: TRY400  # the message says it all
            return _failure(status.insufficient_storage(str(error)) if error.full else status.internal(str(error)))
        except Exception as error:
            log.exception("%s %s", http.method, http.path)
            return _failure(status.internal(str(error) or type(error).__name__))

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        info = request_info(http.method, http.path, http.query)
        user = await self.surface.authenticate(http)
        call = Call(http, info, user)
        refusal = await self.surface.authorize(user, info)
        if refusal is not None:
            raise _refused(call, refusal)
        with self.lasting():
            answer = await self.surface.aggregate(call) if info.is_resource else await self.surface.serve_path(call)
        if answer is not None:
            return answer
        if not info.is_resource:
            return web.Response(status=404, text="404 page not found\n")
        return await self.handlers.handle(call)


def _refused(call: Call, why: str) -> StatusError:
    """403 as a real server words it."""
    info, user = call.info, call.user
    tail = f": {why}" if why else ""
    if not info.is_resource:
        message = f'User "{user.name}" cannot {info.verb} path "{info.path}"{tail}'
        return StatusError(403, "Forbidden", f"forbidden: {message}", {})
    what = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    said = f'User "{user.name}" cannot {info.verb} resource "{what}" in API group "{info.group}" {where}{tail}'
    subject = f"{info.resource}.{info.group}" if info.group else info.resource
    subject += f' "{info.name}"' if info.name else ""
    details = {"name": info.name, "group": info.group, "kind": info.resource}
    filled = {key: value for key, value in details.items() if value}
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {said}", filled)


def _failure(error: StatusError) -> web.Response:
    return web.Response(status=error.code, body=json.dumps(error.to_dict()).encode(), content_type="application/json")
