"""Which objects does a label or field selector choose?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.registry import Resource
from meshlab.cluster.embedded.apiserver.words import broken_label_value, broken_qualified_name

_TOKEN = re.compile(r"\s*(?:(?P<sign>==|!=|=|!|,|\(|\)|<|>)|(?P<word>[^\s=!,()<>]+))")
_OPERATORS = "expected: in, notin, =, ==, !=, gt, lt"
_EVENT_FIELDS = (
    *(f"involvedObject.{part}" for part in ("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion")),
    *("involvedObject.uid", "reason", "reportingComponent", "source", "type"),
)
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "pods": (
        *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"),
        *("status.phase", "status.podIP", "status.nominatedNodeName"),
    ),
    "events": _EVENT_FIELDS,
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicationcontrollers": ("status.replicas",),
    "replicasets.apps": ("status.replicas",),
    "jobs.batch": ("status.successful",),
}
_FALSE_WHEN_ABSENT = ("spec.unschedulable", "spec.hostNetwork")
_ZERO_WHEN_ABSENT = ("status.replicas", "status.successful")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term: a key, an operator (`=`, `!=`, `in`, `notin`, `exists`, `!`, `>`, `<`) and its values."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, values: Mapping[str, str]) -> bool:
        """Whether a set of labels or fields satisfies the term."""
        value = values.get(self.key)
        match self.operator:
            case "=" | "in":
                return value in self.values
            case "!=" | "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        return value is not None and _compare(value, self.operator, next(iter(self.values)))


def _compare(value: str, operator: str, limit: str) -> bool:
    try:
        return int(value) > int(limit) if operator == ">" else int(value) < int(limit)
    except ValueError:
        return False


Labels = tuple[Requirement, ...]


def parse_labels(text: str) -> Labels:
    """The terms of a label selector. Raises 400 in the words of a real server."""
    tokens = _tokens(text)
    terms: list[Requirement] = []
    if tokens and tokens[0] in "=,()<>":
        raise status.bad_request(f"found '{tokens[0]}', expected: !, identifier, or 'end of string'")
    while tokens:
        terms.append(_checked(_term(tokens)))
        if tokens:
            if (found := tokens.pop(0)) != ",":
                raise status.bad_request(f"found '{found}', expected: ',' or 'end of string'")
            if not tokens:
                raise status.bad_request("found '', expected: identifier after ','")
    return tuple(terms)


def _checked(term: Requirement) -> Requirement:
    """The term. Raises 400 when its key or a value is none."""
    problem = ""
    if why := broken_qualified_name(term.key):
        problem = f'<nil>: Invalid value: "{term.key}": {why}'
    elif term.operator in "<>":
        number = next(iter(term.values))
        if not number.lstrip("-").isdecimal():
            problem = f"values[0]: Invalid value: \"{number}\": for 'Gt', 'Lt' operators, the value must be an integer"
    else:
        for value in sorted(term.values):
            if why := broken_label_value(value):
                problem = f'values[0][{term.key}]: Invalid value: "{value}": {why}'
    if problem:
        raise _unparsable(problem)
    return term


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unparsable(f"found '{text[position]}', expected: identifier")
        found.append(match["sign"] or match["word"])
        position = match.end()
    return found


def _term(tokens: list[str]) -> Requirement:
    if tokens[0] == "!":
        tokens.pop(0)
        return Requirement(_word(tokens), "!")
    key = _word(tokens)
    if not tokens or tokens[0] == ",":
        return Requirement(key, "exists")
    operator = tokens.pop(0)
    match operator:
        case "=" | "==" | "!=":
            value = tokens.pop(0) if tokens and tokens[0] != "," else ""
            return Requirement(key, "!=" if operator == "!=" else "=", frozenset((value,)))
        case "in" | "notin":
            return Requirement(key, operator, _set(tokens))
        case ">" | "<" | "gt" | "lt":
            sign = {"gt": ">", "lt": "<"}.get(operator, operator)
            return Requirement(key, sign, frozenset((_word(tokens),)))
    raise _unparsable(f"found '{operator}', {_OPERATORS}")


def _word(tokens: list[str]) -> str:
    word = tokens.pop(0) if tokens else ""
    if not word or word in "=!,()<>" or word == "!=":
        raise _unparsable(f"found '{word}', expected: identifier")
    return word


def _set(tokens: list[str]) -> frozenset[str]:
    _expect(tokens, ("(",), "'('")
    values: set[str] = set()
    while tokens and tokens[0] != ")":
        values.add("" if tokens[0] == "," else tokens.pop(0))
        if tokens and tokens[0] == ",":
            tokens.pop(0)
    _expect(tokens, (")",), "',', or ')'")
    return frozenset(values)


def _expect(tokens: list[str], wanted: tuple[str, ...], words: str) -> None:
    found = tokens.pop(0) if tokens else ""
    if found not in wanted:
        raise _unparsable(f"found '{found}' expected: {words}")


def _unparsable(what: str) -> status.StatusError:
    return status.bad_request(f"unable to parse requirement: {what}")


def parse_fields(resource: Resource, text: str) -> Labels:
    """The terms of a field selector. Raises 400 for a field that can't be selected by."""
    terms: list[Requirement] = []
    for part in filter(None, text.split(",")):
        operator = next((sign for sign in ("!=", "==", "=") if sign in part), None)
        if operator is None:
            raise status.bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        key, _, value = part.partition(operator)
        if key not in selectable_fields(resource):
            raise _not_selectable(resource, key)
        terms.append(Requirement(key, "!=" if operator == "!=" else "=", frozenset((value,))))
    return tuple(terms)


def _not_selectable(resource: Resource, key: str) -> status.StatusError:
    if resource.storage in _FIELDS or resource.custom:
        return status.bad_request(f"field label not supported: {key}")
    known = ", ".join(f'"{name}"' for name in selectable_fields(resource))
    return status.bad_request(f'"{key}" is not a known field selector: only {known}')


def selectable_fields(resource: Resource) -> tuple[str, ...]:
    """The fields a kind can be selected by."""
    own = _FIELDS.get(resource.storage, ()) if not resource.custom else resource.selectable_fields
    return ("metadata.name", *(("metadata.namespace",) if resource.namespaced else ()), *own)


def field_values(terms: Labels, obj: Mapping[str, Any]) -> dict[str, str]:
    """What the fields named by a selector hold in an object; absent fields are empty."""
    return {term.key: _field(obj, term.key) for term in terms}


def _field(obj: Mapping[str, Any], path: str) -> str:
    if path == "source":
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return "false" if path in _FALSE_WHEN_ABSENT else "0" if path in _ZERO_WHEN_ABSENT else ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def matcher(resource: Resource, labels: str, fields: str) -> Callable[[Mapping[str, Any]], bool] | None:
    """A test for both selectors; None when they choose everything."""
    label_terms, field_terms = parse_labels(labels), parse_fields(resource, fields)
    if not label_terms and not field_terms:
        return None

    def matches(obj: Mapping[str, Any]) -> bool:
        found = obj["metadata"].get("labels") or {}
        if not all(term.matches(found) for term in label_terms):
            return False
        values = field_values(field_terms, obj)
        return all(term.matches(values) for term in field_terms)

    return matches


def selector_matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy a LabelSelector object (matchLabels, matchExpressions); an absent one matches nothing."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    names = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    rows = selector.get("matchExpressions") or ()
    if any(row.get("operator") not in names for row in rows):
        return False
    terms = [Requirement(row["key"], names[row["operator"]], frozenset(row.get("values") or ())) for row in rows]
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        term.matches(labels) for term in terms
    )
