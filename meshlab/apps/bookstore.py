"""Sells books, tells how many, and restocks at the warehouse after every sale."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from meshlab.apps.caller import Tally, call
from meshlab.apps.server import Answer, serve


class Bookstore:
    """One version of the store; its name is in every answer, so that callers can tell versions apart.

    Without a warehouse it has books enough.
    """

    def __init__(self, name: str, warehouse: str) -> None:
        self.name = name
        self._warehouse = warehouse.rstrip("/")
        self._tally = Tally()
        self._lock = threading.Lock()
        self._sold = 0
        self._asked = 0

    def books_bought(self, _headers: Mapping[str, str], _body: bytes) -> Answer:
        """How many books were sold here."""
        with self._lock:
            self._asked += 1
        return self._answer()

    def buy_a_book(self, headers: Mapping[str, str], _body: bytes) -> Answer:
        """Sell one, and restock, as a part of the same trace. A warehouse that refuses doesn't undo the sale."""
        with self._lock:
            self._sold += 1
        if self._warehouse:
            trace = {name: value for name, value in headers.items() if name.startswith("x-b3-")}
            headers = {"client-app": self.name, "user-agent": "meshlab-http-client/1.0", **trace}
            what = "POST /restock-books"
            self._tally.note(what, call("POST", f"{self._warehouse}/restock-books", headers, b"1"))
        return self._answer()

    def reset(self, _headers: Mapping[str, str], _body: bytes) -> Answer:
        """Begin counting anew."""
        with self._lock:
            self._sold = self._asked = 0
        self._tally.reset()
        return Answer("counters are 0\n")

    def counters(self) -> Mapping[str, object]:
        """For /raw and the page."""
        with self._lock:
            return {"name": self.name, "books": self._sold, "asked": self._asked, **self._tally.summary()}

    def _answer(self) -> Answer:
        sold = str(self._sold)
        return Answer(f"{sold}\n", headers={"Identity": self.name, "Booksbought": sold})


def main() -> None:
    """Serve."""
    store = Bookstore(
        os.environ.get("IDENTITY", "bookstore"),
        os.environ.get("BOOKWAREHOUSE_URL", "http://bookwarehouse.bookwarehouse:14001"),
    )
    routes = {
        "GET /books-bought": store.books_bought,
        "GET /buy-a-book/new": store.buy_a_book,
        "GET /reset": store.reset,
    }
    serve(store.name, store.counters, routes)


if __name__ == "__main__":
    main()
