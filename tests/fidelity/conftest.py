"""A pair of API servers for all cases: the embedded one and a real one, both without controllers and nodes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .cases import EVERYWHERE, Case
from .comparing import Normal, differences
from .servers import Server
from .steps import Run

_ACCOUNT = b'{"metadata": {"name": "default"}}'
_JSON = {"Content-Type": "application/json"}
_EQUAL = pytest.StashKey[dict[str, bool]]()


@dataclass(frozen=True)
class Difference:
    """What stands at one place of one step's answer on either server."""

    step: str
    where: str
    real: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.where}   {self.step}\n    real: {_shown(self.real)}\n    ours: {_shown(self.ours)}"


def _shown(value: Any) -> str:
    return "(nothing)" if value is ... else str(value)


class Pair:
    """The two servers. Cases are put to both at once."""

    def __init__(self, real: Server, ours: Server, equal: dict[str, bool]) -> None:
        self.equal = equal
        self.seen_everywhere: set[str] = set()
        self._servers = (real, ours)
        self._pool = ThreadPoolExecutor(2)

    def compare(self, case: Case) -> list[Difference]:
        """In what the answers differ, by step, but for what differs everywhere."""
        namespace = f"t-{uuid.uuid4().hex[:10]}"
        real, ours = self._pool.map(lambda server: answers(server, case, namespace), self._servers)
        found = [
            Difference(str(step), f"{number}.{where}", *values)
            for number, (step, *pair) in enumerate(zip(case.steps, real, ours, strict=True), 1)
            for where, *values in differences(*pair)
        ]
        found = [difference for difference in found if not self._is_everywhere(difference)]
        self.equal[str(case)] = not found
        return found

    def _is_everywhere(self, difference: Difference) -> bool:
        text = f"{difference.where}: {_shown(difference.ours)}"
        pattern = next((pattern.pattern for pattern in EVERYWHERE if pattern.search(text)), "")
        self.seen_everywhere.add(pattern)
        return bool(pattern)

    def close(self) -> None:
        """No case will come any more."""
        self._pool.shutdown()
        for server in self._servers:
            server.close()


def answers(server: Server, case: Case, namespace: str) -> list[Any]:
    """What a server answers to the steps of a case, in a namespace of the case's own."""
    name = f'{{"metadata": {{"name": "{namespace}"}}}}'
    server.ask("POST", "/api/v1/namespaces", name.encode(), _JSON)
    server.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", _ACCOUNT, _JSON)
    run, normal = Run(server, namespace), Normal(server.url, str(server.folder))
    for step in case.steps:
        run.take(step)
    server.ask("DELETE", f"/api/v1/namespaces/{namespace}", None, {})
    return [normal(answer) for answer in run.answers]


@pytest.fixture(scope="session")
def pair(
    request: pytest.FixtureRequest, oracle: Path, embedded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Both servers, as their administrators."""
    equal = request.config.stash[_EQUAL] = {}
    made = tmp_path_factory.mktemp
    pair = Pair(Server("real", oracle, made("real")), Server("embedded", embedded, made("embedded")), equal)
    yield pair
    pair.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many cases were equal, and how many differ as listed."""
    equal = config.stash.get(_EQUAL, {})
    if equal:
        same = sum(equal.values())
        rest = f"{len(equal) - same} different (docs/api-differences.yaml)"
        terminalreporter.write_line(f"API fidelity: {len(equal)} cases, {same} equal, {rest}")
