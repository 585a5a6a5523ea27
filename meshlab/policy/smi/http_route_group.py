"""HTTPRouteGroup: which requests have a name?"""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from meshlab.kube import Object
from meshlab.mesh import pattern
from meshlab.mesh.rules import HttpMatch
from meshlab.policy.http import HEADER_NAME, RE2_SYNTAX
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape

_PATTERN_SIGNS = string.punctuation


def read(obj: Object) -> dict[str, HttpMatch]:
    """The matches of a sound group, by name."""
    return {match["name"]: _match(match) for match in obj["spec"]["matches"]}


def validate(obj: Object, report: Report) -> None:
    """Names that occur once, patterns that RE2 takes, headers in one of the two shapes of SMI (H6)."""
    if not check_shape(obj, "http-route-group", report):
        return
    matches = obj["spec"]["matches"]
    if not matches:
        report.warning("ML230", "spec.matches", "a group without matches admits nothing", "add a match")
    seen: set[str] = set()
    for index, match in enumerate(matches):
        field = f"spec.matches[{index}]"
        if match["name"] in seen:
            cure = "give every match of the group a name of its own"
            report.error("ML231", f"{field}.name", f"{match['name']!r} is used twice", cure)
        seen.add(match["name"])
        if "pathRegex" in match:
            _check_path(match["pathRegex"], f"{field}.pathRegex", report)
        if "headers" in match:
            _check_headers(match["headers"], f"{field}.headers", report)


def _match(match: dict[str, Any]) -> HttpMatch:
    methods = frozenset(match.get("methods", ()))
    return HttpMatch(
        name=match["name"],
        path_regex=match.get("pathRegex"),
        methods=frozenset() if "*" in methods else methods,
        headers=tuple(sorted((_header_name(name), value) for name, value in _headers(match.get("headers")))),
    )


def _header_name(name: str) -> str:
    """Names compare without case; the host is what HTTP/2 calls the authority (SMI H9)."""
    lower = name.lower()
    return ":authority" if lower == "host" else lower


def _headers(headers: Any) -> Iterator[tuple[Any, Any]]:
    """Header and pattern, from a list of one-key maps or from one map."""
    for part in headers if isinstance(headers, list) else [headers or {}]:
        yield from part.items()


def _check_path(path: str, field: str, report: Report) -> None:
    if reason := pattern.problem(path):
        report.error("ML232", field, f"{path!r} is no pattern that proxies understand: {reason}", RE2_SYNTAX)
    elif path[0].isalnum():
        report.warning("ML234", field, f"{path!r} can match no path: every path begins with /", f"write /{path}")
    elif "\\?" in path:
        what = f"{path!r} can match no path: they are compared without their query"
        report.warning("ML234", field, what, "remove the part from \\? on")
    elif not path.isascii():
        what = f"{path!r} has letters that paths carry percent-encoded"
        report.warning("ML234", field, what, f"write {quote(path, safe=_PATTERN_SIGNS)}")
    elif path.endswith("/") or (path.startswith("^") and not path.endswith(("$", "*", "+"))):
        whole = path.removeprefix("^")
        what = f"{path!r} looks like the beginning of a path, but the whole path has to match"
        cure = f"write {whole}.* for every path that begins so, or {whole}$ if this one is meant"
        report.warning("ML233", field, what, cure)


def _check_headers(headers: Any, field: str, report: Report) -> None:
    if not _has_a_known_shape(headers):
        cure = "write `headers: {x-shift: night}`, or a list `- x-shift: night` with one header per item"
        report.error("ML235", field, "neither one map nor a list of maps with one header each", cure)
        return
    for name, value in _headers(headers):
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
            cure = "use letters, digits and - only; the method and the path have fields of their own"
            report.error("ML236", field, f"{name!r} can't be the name of a header", cure)
        elif not isinstance(value, str):
            report.error("ML235", f"{field}.{name}", f"{value!r} is not text", f'write it in quotes: "{value}"')
        elif reason := pattern.problem(value):
            what = f"{value!r} is no pattern that proxies understand: {reason}"
            report.error("ML232", f"{field}.{name}", what, RE2_SYNTAX)
        elif not value.isascii():
            what = f"{value!r} has letters beyond ASCII; it matches what is sent as UTF-8, and in no other encoding"
            report.warning("ML237", f"{field}.{name}", what, "agree on ASCII, or on UTF-8, with whoever calls")


def _has_a_known_shape(headers: Any) -> bool:
    if isinstance(headers, list):
        return all(isinstance(part, dict) and len(part) == 1 for part in headers)
    return isinstance(headers, dict)
