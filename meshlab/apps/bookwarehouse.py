"""Sends books to whoever restocks, and keeps count of them in its stock."""

from __future__ import annotations

import os
from collections.abc import Mapping

from meshlab.apps.server import Answer, log, serve
from meshlab.apps.valkey import Valkey

_SENT = "books-sent"
"""The hash in the stock server: how many books each caller was sent."""


class Stock:
    """How many books were sent, by the name the caller gave. A Valkey server keeps it, so it outlives the warehouse.

    Raises OSError where the server can't be asked.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._server = Valkey((host, int(port) if port.isdecimal() else 0))

    def add(self, caller: str, books: int) -> None:
        """Count so many more."""
        self._server.ask("HINCRBY", _SENT, caller, str(books))

    def sent(self) -> dict[str, int]:
        """All that was counted."""
        found = self._server.ask("HGETALL", _SENT)
        pairs = [str(item) for item in found] if isinstance(found, list) else []
        return {caller: int(books) for caller, books in zip(pairs[::2], pairs[1::2], strict=True)}

    def clear(self) -> None:
        """Begin counting anew."""
        self._server.ask("DEL", _SENT)


class Bookwarehouse:
    """Counts the books it sent, in all and by the name the caller gave. Without its stock it sends none."""

    def __init__(self, name: str, stock: Stock) -> None:
        self.name = name
        self._stock = stock
        self._known: dict[str, int] = {}
        self._trouble = ""

    def restock_books(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send as many books as the body says."""
        try:
            wanted = int(body)
        except ValueError:
            return Answer("the body must be a number of books\n", status=400)
        try:
            self._stock.add(headers.get("client-app", "unknown"), wanted)
        except OSError as error:
            return self._without_stock(error)
        self._note("")
        return Answer(f"{wanted}\n", headers={"Identity": self.name})

    def reset(self, _headers: Mapping[str, str], _body: bytes) -> Answer:
        """Begin counting anew."""
        try:
            self._stock.clear()
        except OSError as error:
            return self._without_stock(error)
        return Answer("counters are 0\n")

    def counters(self) -> Mapping[str, object]:
        """For /raw and the page. While the stock can't be had: what it said last, and why it can't."""
        try:
            self._known = self._stock.sent()
            self._note("")
        except OSError as error:
            self._note(_reason(error))
        counted = {"name": self.name, "books": sum(self._known.values()), "answers": self._known}
        if not self._trouble:
            return counted
        return {**counted, "last": {"call": "the stock", "status": 0, "ok": False, "reason": self._trouble}}

    def _without_stock(self, error: OSError) -> Answer:
        self._note(_reason(error))
        return Answer(f"the stock can't be had: {_reason(error)}\n", status=503)

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            log(f"the stock can't be had: {trouble}" if trouble else "the stock is there again")
        self._trouble = trouble


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def main() -> None:
    """Serve."""
    stock = Stock(os.environ.get("STOCK", "stock.bookwarehouse:6379"))
    warehouse = Bookwarehouse(os.environ.get("IDENTITY", "bookwarehouse"), stock)
    serve(
        warehouse.name,
        warehouse.counters,
        {"POST /restock-books": warehouse.restock_books, "GET /reset": warehouse.reset},
    )


if __name__ == "__main__":
    main()
