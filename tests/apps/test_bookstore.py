"""The four programs behave as OSM's demo says, and a refusal never stops them."""

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

START_SECONDS = 20


class App:
    """One of the programs, as a process on a loopback address of its own."""

    def __init__(self, module: str, address: str, env: dict[str, str], log: Path) -> None:
        self.address, self.log = address, log
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


Start = Callable[..., App]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start_app(module: str, number: int, **env: str) -> App:
            app = App(module, f"127.250.{os.getpid() % 250 + 1}.{number}", env, tmp_path / f"{module}-{number}.log")
            stack.callback(lambda: (app.process.kill(), app.process.wait()))
            eventually(lambda: app.get("/health")[0] == 200, f"{module} answers")
            return app

        yield start_app


def url(app: App) -> str:
    return f"http://{app.address}:{PORT}"


def test_a_purchase_goes_from_buyer_to_store_to_warehouse(start: Start) -> None:
    warehouse = start("bookwarehouse", 4)
    store = start("bookstore", 3, IDENTITY="bookstore-v1", BOOKWAREHOUSE_URL=url(warehouse))
    buyer = start("bookbuyer", 2, BOOKSTORE_URL=url(store), REQUESTS_PER_SECOND="50")
    eventually(lambda: buyer.raw()["books"] >= 5, "five books are bought")
    assert set(buyer.raw()["answers"]) == {"bookstore-v1"}
    assert set(buyer.raw()["statuses"]) == {"200"}
    assert store.raw()["books"] >= 5
    assert warehouse.raw()["answers"].keys() == {"bookstore-v1"}


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
def test_bad_requests_are_answered(start: Start, method: str, path: str, body: bytes | None, status: int) -> None:
    assert start("bookwarehouse", 4).get(path, method, body)[0] == status


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
