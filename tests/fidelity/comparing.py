"""In what do two servers' answers differ, apart from what every server chooses for itself?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_UID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_RULES = [
    (re.compile(r"\b20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "<microtime>"),
    (re.compile(r"\b20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000"), "<time>"),
    (re.compile(r"\b(10\.0\.0|127\.64\.\d+)\.\d+\b"), "<address>"),
    (re.compile(r"\bkube-api-access-[a-z0-9]{5}\b"), "kube-api-access-<random>"),
    (re.compile(r"\beyJ[\w\-]+\.[\w\-]+\.[\w\-]+"), "<jwt>"),
    (re.compile(r"(?<=[:\s])3[0-2]\d{3}(?=/(TCP|UDP))"), "<nodePort>"),
    (re.compile(r"(?<![\w.\-])\d+s(?![\w.\-])"), "<age>"),
    (re.compile(r"\b(LIVE|MERGED)-\d+"), r"\1"),
    (re.compile(r"(?i)(resource ?version\\?[\"']?: *\\?[\"']?)\d+( \(\d+\))?"), r"\1<version>"),
    (re.compile(r"(\bin record )\(\d+\)"), r"\1(<version>)"),
    (re.compile(r"^W\d{4} [\d:.]+ +\d+ "), "W<time> "),
    (re.compile(r"\b20[2-9]\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000"), "<time>"),
    (re.compile(r"(current: )\d+"), r"\1<version>"),
    (re.compile(r"(nodePort: )3[0-2]\d{3}"), r"\1<nodePort>"),
    (re.compile(r"\b([a-z]+-)[bcdfghjklmnpqrstvwxz2456789]{5} created"), r"\1<random> created"),
    (re.compile(r" {2,}"), "  "),
]
_TOKENS = {"continue": "<token>"}
_UNORDERED = ("resourceRules", "nonResourceRules")
_NUMBERS = ("nodePort", "healthCheckNodePort")


class Normal:
    """The answers of one server to one case, with its own choices replaced by names.

    The first uid that is seen becomes `<uid 1>`, the first version `<version 1>`: that two of them are the same
    is still seen.
    """

    def __init__(self, url: str, folder: str) -> None:
        self._own = {url: "<server>", url.partition("://")[2]: "<host>", folder: "<folder>"}
        self._uids: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    def __call__(self, value: Any) -> Any:
        """The value as it would be on any server."""
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return [self(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        metadata = value.get("metadata")
        if isinstance(metadata, dict) and metadata.get("generateName") and metadata.get("name"):
            self._own.setdefault(metadata["name"], f"{metadata['generateName']}<random {len(self._own)}>")
        found = {}
        for key, item in _sorted_causes(value).items():
            if key == "resourceVersion" and isinstance(item, str):
                found[key] = self._versions.setdefault(item, f"<version {len(self._versions) + 1}>")
            elif key in _TOKENS and item:
                found[key] = _TOKENS[key]
            elif key in _NUMBERS and isinstance(item, int):
                found[key] = f"<{key}>" if item else item
            elif key in _UNORDERED and isinstance(item, list):
                found[key] = sorted(self(item), key=str)
            elif key == "managedFields" and isinstance(item, list):
                found[key] = sorted(self(item), key=lambda row: (row["operation"], row["manager"], str(row)))
            elif key == "metadata" and isinstance(item, dict) and ("items" in value or value.get("kind") == "Table"):
                found[key] = self({**item, **({"resourceVersion": None} if "resourceVersion" in item else {})})
            else:
                found[key] = self(item)
        return found

    def _text(self, text: str) -> str:
        for own, name in self._own.items():
            text = text.replace(own, name)
        text = _UID.sub(lambda uid: self._uids.setdefault(uid[0], f"<uid {len(self._uids) + 1}>"), text)
        for pattern, name in _RULES:
            text = pattern.sub(name, text)
        return text


def _sorted_causes(status: dict[str, Any]) -> dict[str, Any]:
    """A Status with its causes in order, in the message, too: a real server tells some in any order."""
    causes = (status.get("details") or {}).get("causes")
    if status.get("kind") != "Status" or not causes:
        return status
    details = {**status["details"], "causes": sorted(causes, key=str)}
    head, bracket, said = status["message"].partition(" is invalid: [")
    if not bracket:
        return {**status, "details": details}
    told = ", ".join(f"{cause.get('field')}: {cause['message']}" for cause in details["causes"])
    exact = sorted(said.removesuffix("]")) == sorted(told)
    return {**status, "details": details, "message": head + bracket + (f"{told}]" if exact else said)}


def differences(real: Any, ours: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two answers differ (`body.metadata.name`), and what stands there. Another status is another answer."""
    if isinstance(real, dict) and isinstance(ours, dict):
        if real.get("status") != ours.get("status") and not where:
            yield "status", *(f"{answer['status']} {answer.get('body')}" for answer in (real, ours))
            return
        for key in [*real, *(key for key in ours if key not in real)]:
            at = f"{where}.{key}" if where else str(key)
            yield from differences(real.get(key, ...), ours.get(key, ...), at)
    elif isinstance(real, list) and isinstance(ours, list) and len(real) == len(ours):
        for index, pair in enumerate(zip(real, ours, strict=True)):
            yield from differences(*pair, f"{where}[{index}]")
    elif real != ours or type(real) is not type(ours):
        yield where, real, ours
