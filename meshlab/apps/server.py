"""What do the four programs have in common? An HTTP server with a page, counters, and a calm end on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

PORT = 14001
_QUIET_SECONDS, _LONGEST_END_SECONDS = 1.0, 4.0
"""After SIGTERM requests are still taken until none has come for this long: callers have yet to hear that the
pod goes, and a connection that waits to be accepted is reset when its listener closes.
"""


@dataclass(frozen=True)
class Answer:
    """What a handler says: a status, a body, and headers."""

    body: str
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Mapping[str, str], bytes], Answer]
"""From a request's headers (names in lower case) and its body to an answer."""


def serve(name: str, counters: Callable[[], Mapping[str, object]], routes: Mapping[str, Handler]) -> None:
    """Serve `routes` (``"POST /restock-books"``) until SIGTERM, and with them the page, /raw and /health."""
    page = (files("meshlab") / "apps" / "page.html").read_text().replace("{{name}}", name)
    common: dict[str, Handler] = {
        "GET /": lambda _headers, _body: Answer(page, content_type="text/html; charset=utf-8"),
        "GET /raw": lambda _headers, _body: Answer(json.dumps(counters()), content_type="application/json"),
        "GET /health": lambda _headers, _body: Answer("ok"),
    }
    # An app on a network without namespaces owns its pod's address only; elsewhere every interface is the pod's.
    address = os.environ.get("BIND_ADDRESS", "0.0.0.0")  # noqa: S104
    server = _Server((address, PORT), _handler({**common, **routes}))

    def stop(_signal: int, _frame: object) -> None:
        # shutdown() waits for the loop that this very thread runs, so another has to call it.
        threading.Thread(target=server.end).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log(f"{name} listens on {address}:{PORT}")
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    log(f"{name} ends")


def log(line: str) -> None:
    """One line on standard output, at once."""
    print(line, flush=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._busy = 0
        self._last = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """While a request is being answered the process does not end."""
        with self._changed:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._last = time.monotonic()
                self._changed.notify_all()

    def end(self) -> None:
        """Stop when no more requests come and the last is answered, or when the time for it is over."""
        began = self._last = time.monotonic()
        with self._changed:
            while (now := time.monotonic()) < began + _LONGEST_END_SECONDS:
                quiet_at = self._last + _QUIET_SECONDS
                if not self._busy and now >= quiet_at:
                    break
                self._changed.wait(max(0.01, quiet_at - now))
        self.shutdown()

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is its own affair; anything else is told with its trace."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _handler(routes: Mapping[str, Handler]) -> type[BaseHTTPRequestHandler]:
    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            assert isinstance(self.server, _Server)  # noqa: S101  # no other makes handlers of this class
            with self.server.answering():
                self._answer()

        def _answer(self) -> None:
            length = self.headers.get("content-length", "0")
            if not length.isdecimal():
                self.close_connection = True
                self._send(Answer("content-length is not a number\n", status=400))
                return
            body = self.rfile.read(int(length))
            path = self.path.partition("?")[0]
            handle = routes.get(f"{self.command} {path}")
            if handle is None:
                self._send(Answer(f"{self.command} {path} is not served here\n", status=404))
                return
            self._send(handle({key.lower(): value for key, value in self.headers.items()}, body))

        def _send(self, answer: Answer) -> None:
            content = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(content)))
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing per request: the counters tell."""

        def log_error(self, format: str, *args: object) -> None:  # noqa: A002
            print(format % args, file=sys.stderr, flush=True)

    return Request
