"""The programs behave as OSM's demo says, and neither a refusal nor a server that is away stops them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from meshlab.apps.caller import Outcome, Tally, call
from meshlab.apps.server import PORT
from meshlab.apps.valkey import ValkeyError, ask

START_SECONDS = 20


def address(number: int) -> str:
    """A loopback address for one program of this process's."""
    return f"127.250.{os.getpid() % 250 + 1}.{number}"


class App:
    """One of the programs, as a process on a loopback address of its own."""

    def __init__(self, module: str, address: str, env: dict[str, str], log: Path) -> None:
        self.module, self.address, self.log = module, address, log
        clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"meshlab.apps.{module}"],
                env={**clean, "BIND_ADDRESS": address, **env},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def get(self, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, dict[str, str], str]:
        request = urllib.request.Request(f"http://{self.address}:{PORT}{path}", data=body, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=5) as response:
                return response.status, dict(response.headers.items()), response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers.items()), error.read().decode()

    def raw(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/raw")[2]))

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=5)


def eventually(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"not within {START_SECONDS} s: {what}")


def answers(app: App) -> bool:
    if app.module == "stock":
        return ask((app.address, 6379), "PING") == "PONG"
    return app.get("/health")[0] == 200


Start = Callable[..., App]
STOCK = {"STOCK": f"{address(6)}:6379"}
"""Where a warehouse finds the stock of this test."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start_app(module: str, number: int, **env: str) -> App:
            app = App(module, address(number), env, tmp_path / f"{module}-{number}.log")
            stack.callback(lambda: (app.process.kill(), app.process.wait()))
            eventually(lambda: answers(app), f"{module} answers")
            return app

        yield start_app


@pytest.fixture
def start_stock(start: Start, tmp_path: Path) -> Start:
    """Starts the stock server anew, in the same folder."""
    (tmp_path / "var/lib/stock").mkdir(parents=True)
    return lambda: start("stock", 6, MESHLAB_CONTAINER_ROOT=str(tmp_path))


@pytest.fixture
def stock(start_stock: Start) -> App:
    return start_stock()


def url(app: App) -> str:
    return f"http://{app.address}:{PORT}"


def test_a_purchase_goes_from_buyer_to_store_to_warehouse_to_stock(start: Start, stock: App) -> None:
    warehouse = start("bookwarehouse", 4, **STOCK)
    store = start("bookstore", 3, IDENTITY="bookstore-v1", BOOKWAREHOUSE_URL=url(warehouse))
    buyer = start("bookbuyer", 2, BOOKSTORE_URL=url(store), REQUESTS_PER_SECOND="50")
    eventually(lambda: buyer.raw()["books"] >= 5, "five books are bought")
    assert set(buyer.raw()["answers"]) == {"bookstore-v1"}
    assert set(buyer.raw()["statuses"]) == {"200"}
    assert store.raw()["books"] >= 5
    assert warehouse.raw()["answers"].keys() == {"bookstore-v1"}
    assert int(str(ask((stock.address, 6379), "HGET", "books-sent", "bookstore-v1"))) >= 5


def test_the_thief_does_what_the_buyer_does(start: Start) -> None:
    store = start("bookstore", 3, BOOKWAREHOUSE_URL="http://127.0.0.1:1")
    thief = start("bookthief", 5, BOOKSTORE_URL=url(store), REQUESTS_PER_SECOND="50")
    eventually(lambda: thief.raw()["books"] >= 2, "two books are stolen")


def test_the_store_says_who_it_is_and_how_many_it_sold(start: Start) -> None:
    store = start("bookstore", 3, IDENTITY="bookstore-v2", BOOKWAREHOUSE_URL="http://127.0.0.1:1")
    store.get("/buy-a-book/new")
    status, headers, _ = store.get("/books-bought")
    assert (status, headers["Identity"], headers["Booksbought"]) == (200, "bookstore-v2", "1")
    store.get("/reset")
    assert store.get("/books-bought")[1]["Booksbought"] == "0"


def test_a_warehouse_that_is_away_does_not_undo_a_sale(start: Start) -> None:
    store = start("bookstore", 3, BOOKWAREHOUSE_URL="http://127.0.0.1:1")
    assert store.get("/buy-a-book/new")[0] == 200
    assert store.raw()["last"]["ok"] is False
    assert "refused" in store.raw()["last"]["reason"]


def test_the_buyer_lives_through_a_store_that_is_away_and_says_so_once(start: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{free.getsockname()[1]}"
    buyer = start("bookbuyer", 2, BOOKSTORE_URL=away, REQUESTS_PER_SECOND="50")
    eventually(lambda: buyer.raw()["calls"] >= 10, "ten calls are made")
    assert set(buyer.raw()["statuses"]) == {"0"}
    assert buyer.log.read_text().count("GET /books-bought: no answer") == 1


def test_calls_go_by_the_proxy_that_the_environment_names(start: Start) -> None:
    warehouse = start("bookwarehouse", 4)
    buyer = start(
        "bookbuyer", 2, BOOKSTORE_URL="http://bookstore.bookstore:14001", http_proxy=url(warehouse), no_proxy=""
    )
    eventually(lambda: buyer.raw()["statuses"].get("404"), "the proxy answers in the store's place")
    assert "GET http://bookstore.bookstore:14001/" in buyer.raw()["last"]["reason"]


def test_the_page_shows_the_name_and_nothing_from_elsewhere(start: Start) -> None:
    _, headers, page = start("bookwarehouse", 4).get("/")
    assert headers["Content-Type"].startswith("text/html")
    assert "<h1>bookwarehouse</h1>" in page
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [("GET", "/nothing", None, 404), ("POST", "/restock-books", b"many", 400), ("POST", "/restock-books", b"2", 200)],
)
def test_bad_requests_are_answered(
    start: Start, stock: App, method: str, path: str, body: bytes | None, status: int
) -> None:
    assert start("bookwarehouse", 4, **STOCK).get(path, method, body)[0] == status


def test_the_stock_outlives_the_warehouse_and_its_own_restarts(start: Start, start_stock: Start) -> None:
    stock, warehouse = start_stock(), start("bookwarehouse", 4, **STOCK)
    assert warehouse.get("/restock-books", "POST", b"3")[0] == 200
    stock.process.kill()
    stock.process.wait()
    status, _, said = warehouse.get("/restock-books", "POST", b"1")
    assert (status, said) == (503, "the stock can't be had: Connection refused\n")
    raw = warehouse.raw()
    assert raw["last"]["reason"] == "Connection refused"
    start_stock()
    assert warehouse.get("/restock-books", "POST", b"1")[0] == 200
    assert warehouse.raw() == {"name": "bookwarehouse", "books": 4, "answers": {"unknown": 4}}
    assert start("bookwarehouse", 7, **STOCK).raw()["books"] == 4
    warehouse.get("/reset")
    assert warehouse.raw()["books"] == 0


def test_a_stock_that_refuses_a_command_is_an_error_that_says_why(stock: App) -> None:
    with pytest.raises(ValkeyError, match="unknown command 'SELL'"):
        ask((stock.address, 6379), "SELL", "books")


def test_a_stock_that_nobody_is_given_is_said_to_be_away(start: Start) -> None:
    status, _, said = start("bookwarehouse", 4, STOCK="$(STOCK_SERVICE_HOST)").get("/restock-books", "POST", b"1")
    assert status == 503
    assert said.startswith("the stock can't be had: ")


def test_sigterm_ends_it_calmly(start: Start) -> None:
    warehouse = start("bookwarehouse", 4)
    assert warehouse.end() == 0
    assert warehouse.log.read_text().endswith("bookwarehouse ends\n")


def test_an_unusable_address_is_an_outcome() -> None:
    assert call("GET", "http://no such host/", {}).status == 0


def test_a_line_is_logged_only_when_the_outcome_changes(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(clock=lambda: 0.0)
    for outcome in (
        Outcome(200),
        Outcome(200),
        Outcome(403, "RBAC: access denied"),
        Outcome(403, "RBAC: access denied"),
    ):
        tally.note("GET /", outcome)
    assert capsys.readouterr().out == "GET /: 200\nGET /: 403 (RBAC: access denied)\n"
    assert tally.summary()["statuses"] == {"200": 2, "403": 2}
