"""How does a step of a case become a request?

A step is one line, or a line with a body: `POST configmaps: {metadata: {name: a}}`. README.md has the words.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from .servers import Server

_MEDIA = {
    "MERGE": "application/merge-patch+json",
    "STRATEGIC": "application/strategic-merge-patch+json",
    "JSON": "application/json-patch+json",
    "APPLY": "application/apply-patch+yaml",
}
_PATIENCE = 10
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_WORD = re.compile(r"\$(ns|big|(\d+)\.([\w.\-]+))")
_GROUP_VERSION = re.compile(r"^[\w.\-$]+/v\d\w*/")


@dataclass(frozen=True)
class Step:
    """One request, or one kubectl command line, as the case's file has it."""

    verb: str
    what: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    events: int = 0
    editor: str = ""

    @classmethod
    def read(cls, text: str | dict[str, Any]) -> Step:
        """A step as YAML has it."""
        parts = dict(text) if isinstance(text, dict) else {text: None}
        line = next(iter(parts))
        body = parts.pop(line)
        verb, _, what = line.partition(" ")
        return cls(verb, what, body, **parts)

    def __str__(self) -> str:
        return f"{self.verb} {self.what}"


class Run:
    """A case on its way on one server. Answers of earlier steps can be named in later ones: `$1.metadata.uid`."""

    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._namespace = namespace
        self.answers: list[Any] = []

    def take(self, step: Step) -> None:
        """Do what a step says, and keep the answer."""
        answer = {"kubectl": self._kubectl, "UNTIL": self._until}.get(step.verb, self._request)
        self.answers.append(answer(step))

    def _until(self, step: Step) -> Any:
        """Ask again until the answer has the status or exit code: what was written takes effect a little later."""
        wanted, _, line = step.what.partition(" ")
        verb, _, rest = line.partition(" ")
        again = replace(step, verb=verb, what=rest)
        end = time.monotonic() + _PATIENCE
        ask, what = (self._kubectl, "exit") if verb == "kubectl" else (self._request, "status")
        while (found := ask(again)[what]) != int(wanted) and time.monotonic() < end:
            time.sleep(0.02)
        return {what: found}

    def _kubectl(self, step: Step) -> Any:
        body = step.body if isinstance(step.body, str) or step.body is None else _yaml(step.body)
        return self._server.kubectl(self._fill(step.what), self._namespace, self._fill(body or ""), step.editor)

    def _request(self, step: Step) -> Any:
        method = "PATCH" if step.verb in _MEDIA else "GET" if step.verb in ("TABLE", "WATCH") else step.verb
        accept = _TABLE if step.verb == "TABLE" else "application/json"
        headers = {"Accept": accept}
        if step.body is not None:
            headers["Content-Type"] = _MEDIA.get(step.verb, "application/json")
        headers |= {name: self._fill(value) for name, value in step.headers.items()}
        text = step.body if isinstance(step.body, str) or step.body is None else json.dumps(step.body)
        data = None if text is None else self._fill(text).encode()
        path = self._path(self._fill(step.what))
        if step.verb == "WATCH":
            path += ("&" if "?" in path else "?") + "watch=true"
        return self._server.ask(method, path, data, headers, step.events)

    def _path(self, what: str) -> str:
        if what.startswith("/"):
            return what
        group = _GROUP_VERSION.match(what)
        start = f"/apis/{group[0]}" if group else "/api/v1/"
        return f"{start}namespaces/{self._namespace}/{what[group.end() if group else 0 :]}"

    def _fill(self, text: str) -> str:
        return _WORD.sub(self._word, text)

    def _word(self, found: re.Match[str]) -> str:
        if found[1] == "ns":
            return self._namespace
        if found[1] == "big":
            return "x" * 3_500_000
        value = self.answers[int(found[2]) - 1]["body"]
        for key in found[3].split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
        return str(value)


def _yaml(body: Any) -> str:
    return yaml.safe_dump_all(body if isinstance(body, list) else [body], sort_keys=False)
