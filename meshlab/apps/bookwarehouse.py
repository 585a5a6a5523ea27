"""Sends books to whoever restocks, and counts them."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from meshlab.apps.server import Answer, serve


class Bookwarehouse:
    """Counts the books it sent, in all and by the name the caller gave."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._by_caller: dict[str, int] = {}

    def restock_books(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send as many books as the body says."""
        try:
            wanted = int(body)
        except ValueError:
            return Answer("the body must be a number of books\n", status=400)
        caller = headers.get("client-app", "unknown")
        with self._lock:
            self._by_caller[caller] = self._by_caller.get(caller, 0) + wanted
        return Answer(f"{wanted}\n", headers={"Identity": self.name})

    def reset(self, _headers: Mapping[str, str], _body: bytes) -> Answer:
        """Begin counting anew."""
        with self._lock:
            self._by_caller.clear()
        return Answer("counters are 0\n")

    def counters(self) -> Mapping[str, object]:
        """For /raw and the page."""
        with self._lock:
            return {"name": self.name, "books": sum(self._by_caller.values()), "answers": dict(self._by_caller)}


def main() -> None:
    """Serve."""
    warehouse = Bookwarehouse(os.environ.get("IDENTITY", "bookwarehouse"))
    serve(
        warehouse.name,
        warehouse.counters,
        {"POST /restock-books": warehouse.restock_books, "GET /reset": warehouse.reset},
    )


if __name__ == "__main__":
    main()
