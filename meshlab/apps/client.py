"""What do bookbuyer and bookthief do all day? Exactly the same; only their identity differs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping

from meshlab.apps.caller import Outcome, Tally, call
from meshlab.apps.server import Answer, serve

# Both send the buyer's name: anyone can write a header. Only a certificate tells who is speaking.
HEADERS = {"client-app": "bookbuyer", "user-agent": "meshlab-http-client/1.0"}


class Client:
    """Asks for the list of books, then for a new book, again and again."""

    def __init__(self, name: str, store: str, rounds_per_second: float) -> None:
        self.name = name
        self._store = store.rstrip("/")
        self._pause = 1 / rounds_per_second
        self._tally = Tally()
        self._lock = threading.Lock()
        self._books = 0
        self._by_store: dict[str, int] = {}

    def run(self) -> None:
        """Shop forever. A refusal is an outcome, not an error."""
        next_round = time.monotonic()
        while True:
            self.shop()
            next_round = max(next_round + self._pause, time.monotonic())
            time.sleep(max(0.0, next_round - time.monotonic()))

    def shop(self) -> None:
        """One round: two calls."""
        self._call("GET /books-bought")
        if self._call("GET /buy-a-book/new").ok:
            with self._lock:
                self._books += 1

    def counters(self) -> Mapping[str, object]:
        """For /raw and the page. `answers` counts by the name the store gave itself."""
        with self._lock:
            return {"name": self.name, "books": self._books, "answers": dict(self._by_store), **self._tally.summary()}

    def reset(self, _headers: Mapping[str, str], _body: bytes) -> Answer:
        """Begin counting anew."""
        with self._lock:
            self._books = 0
            self._by_store.clear()
        self._tally.reset()
        return Answer("counters are 0\n")

    def _call(self, what: str) -> Outcome:
        method, path = what.split()
        outcome = call(method, self._store + path, HEADERS)
        self._tally.note(what, outcome)
        store = outcome.headers.get("identity")
        if store:
            with self._lock:
                self._by_store[store] = self._by_store.get(store, 0) + 1
        return outcome


def main(name: str) -> None:
    """Run the client behind its page."""
    store = os.environ.get("BOOKSTORE_URL", "http://bookstore.bookstore:14001")
    client = Client(name, store, float(os.environ.get("REQUESTS_PER_SECOND", "1")))
    threading.Thread(target=client.run, name="shopping", daemon=True).start()
    serve(name, client.counters, {"GET /reset": client.reset})
