"""meshlab's own kind, below all policies: ProxyOverlay, which changes the very configuration of chosen proxies."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jsonpointer import JsonPointer, JsonPointerException

from meshlab.kube import Kind, Object
from meshlab.kube.objects import CONFIG_MAP, PROXY_OVERLAY
from meshlab.mesh.finding import Finding
from meshlab.mesh.overlay import Direction, Filter, Language, Overlay, Patch
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, group_of, namespace_of, same
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape, crd

CODE_LABEL = "meshlab.dev/filter-code"
"""ConfigMaps with this label are read; the others of a cluster are none of ours."""

_CRD = "proxy-overlay"
_WASM_MAGIC = b"\0asm"
_NEEDS_FROM, _NEEDS_VALUE = {"move", "copy"}, {"add", "replace", "test"}


class Overlays:
    """ProxyOverlay as a language. What its operations mean for a proxy, the data plane alone can say."""

    kinds: tuple[Kind, ...] = (PROXY_OVERLAY,)
    refers_to: tuple[Kind, ...] = (CONFIG_MAP,)

    def crds(self) -> list[Object]:
        """The one CRD."""
        return [crd(_CRD)]

    def read(self, objects: Iterable[Object]) -> Facts:
        """Every overlay without an error, with the code of its filters."""
        known = Objects(objects)
        overlays, findings = [], []
        for obj in known.of(PROXY_OVERLAY.kind):
            report = Report(obj)
            complete = _validate(obj, report) and _check_filters(obj, known, report, report.error)
            findings += report.findings
            if complete and not report.refused:
                overlays.append(_overlay(obj, known))
        return Facts(overlays=tuple(overlays), findings=tuple(findings))

    def validate(self, obj: Object, others: Iterable[Object]) -> list[Finding]:
        """What is wrong with one overlay, before any proxy is asked."""
        if (obj["kind"], group_of(obj)) != (PROXY_OVERLAY.kind, PROXY_OVERLAY.group):
            return []
        report = Report(obj)
        if _validate(obj, report):
            # code may come after the filter that runs it, or be newer than what has been heard of it
            _check_filters(obj, Objects(other for other in others if not same(other, obj)), report, report.warning)
        return report.findings


def _validate(obj: Object, report: Report) -> bool:
    """Whether it can be read at all."""
    if not check_shape(obj, _CRD, report):
        return False
    spec = obj["spec"]
    if not spec.get("patches") and not spec.get("filters"):
        report.error("ML210", "spec", "it has neither patches nor filters", "add one, or delete the overlay")
    for path, operation in _operations(spec):
        _check_operation(path, operation, report)
    names = [item["name"] for item in spec.get("filters", ())]
    for index, item in enumerate(spec.get("filters", ())):
        path = f"spec.filters[{index}]"
        if names.index(item["name"]) != index:
            report.error("ML210", f"{path}.name", f"another filter is called {item['name']!r}", "give it its own name")
        if sum(language in item for language in Language) != 1:
            report.error("ML210", path, "a filter is either lua or wasm", "write one of the two")
    return not report.refused


def _operations(spec: Object) -> Iterator[tuple[str, dict[str, Any]]]:
    for i, patch in enumerate(spec.get("patches", ())):
        for j, operation in enumerate(patch["operations"]):
            yield f"spec.patches[{i}].operations[{j}]", operation


def _check_operation(path: str, operation: dict[str, Any], report: Report) -> None:
    for field in ("path", "from"):
        try:
            JsonPointer(operation.get(field, ""))
        except JsonPointerException:
            what = f"{operation[field]!r} is no JSON pointer"
            report.error("ML601", f"{path}.{field}", what, "begin each step with /: /filter_chains/0/name")
    op = operation["op"]
    if op in _NEEDS_FROM and "from" not in operation:
        report.error("ML601", f"{path}.from", f"{op} needs to know from where", "add from, a JSON pointer")
    if op in _NEEDS_VALUE and "value" not in operation:
        report.error("ML601", f"{path}.value", f"{op} needs a value", "add value")
    if operation["path"] == "/name" and op != "test":
        report.error("ML601", f"{path}.path", "a resource keeps its name", "patch what names it instead")


def _check_filters(obj: Object, known: Objects, report: Report, say: Callable[[str, str, str, str], None]) -> bool:
    """Whether every filter's code is there. It may come later; code that can't be right is said to be wrong."""
    complete = True
    for index, item in enumerate(obj["spec"].get("filters", ())):
        language = _language(item)
        source, path = item[language], f"spec.filters[{index}].{language}"
        config_map = known.get(CONFIG_MAP.kind, namespace_of(obj), source["configMap"])
        where = f"ConfigMap {namespace_of(obj)}/{source['configMap']}"
        if config_map is None:
            cure = f"create it; if it is there: kubectl label configmap {source['configMap']} {CODE_LABEL}=true"
            what = f"{where} does not exist, or lacks the label {CODE_LABEL}"
            report.warning("ML602", f"{path}.configMap", what, cure)
            complete = False
            continue
        code = _code(config_map, source["key"])
        if code is None:
            keys = ", ".join(sorted({**(config_map.get("data") or {}), **(config_map.get("binaryData") or {})}))
            what = f"{where} has no key {source['key']!r}"
            report.warning("ML602", f"{path}.key", what, f"it has: {keys or 'nothing'}")
            complete = False
        elif language is Language.WASM and not code.startswith(_WASM_MAGIC):
            cure = "kubectl create configmap NAME --from-file=FILE takes a module as it is"
            say("ML603", f"{path}.key", f"{where} holds no WebAssembly module under {source['key']!r}", cure)
        elif language is Language.LUA and not _is_text(code):
            say("ML603", f"{path}.key", f"{where} holds no text under {source['key']!r}", "put the script there")
    return complete


def _language(item: Object) -> Language:
    return next(language for language in Language if language in item)


def _overlay(obj: Object, known: Objects) -> Overlay:
    spec = obj["spec"]
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    return Overlay(
        namespace=namespace_of(obj),
        name=obj["metadata"].get("name", ""),
        labels=tuple(sorted(labels.items())),
        patches=tuple(_patch(patch) for patch in spec.get("patches", ())),
        filters=tuple(_filter(item, namespace_of(obj), known) for item in spec.get("filters", ())),
    )


def _patch(patch: Object) -> Patch:
    operations = tuple(json.dumps(operation, sort_keys=True) for operation in patch["operations"])
    return Patch(patch["kind"], patch["name"], operations)


def _filter(item: Object, namespace: str, known: Objects) -> Filter:
    language = _language(item)
    source = item[language]
    config_map = known.get(CONFIG_MAP.kind, namespace, source["configMap"]) or {}
    return Filter(
        name=item["name"],
        direction=Direction(item["direction"]),
        language=language,
        code=_code(config_map, source["key"]) or b"",
        configuration=source.get("configuration", ""),
        fail_open=source.get("failOpen", False),
    )


def _code(config_map: Object, key: str) -> bytes | None:
    if key in (config_map.get("data") or {}):
        return str(config_map["data"][key]).encode()
    encoded = (config_map.get("binaryData") or {}).get(key)
    try:
        return None if encoded is None else base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return None


def _is_text(code: bytes) -> bool:
    try:
        return "\0" not in code.decode()
    except UnicodeDecodeError:
        return False
