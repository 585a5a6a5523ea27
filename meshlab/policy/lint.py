"""What is wrong with these files, as far as can be told without a cluster? The same findings as on one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from meshlab.errors import PolicyError
from meshlab.kube import Object, load
from meshlab.mesh.finding import Finding, Severity
from meshlab.policy.base import PolicyLanguage
from meshlab.policy.objects import group_of
from meshlab.policy.report import Report

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_METADATA = ("name", "namespace")

_KUBERNETES_OWN = ".k8s.io"
"""How the groups end that have many kinds, of which a policy language may read some."""


@dataclass(frozen=True, slots=True)
class Written:
    """An object, and where it stands."""

    obj: Object
    source: str
    node: yaml.Node

    def line(self, field: str) -> int:
        """The line of a field such as ``spec.backends[1].weight``, or of the nearest thing around it."""
        node, line = self.node, self.node.start_mark.line
        for index, name in _STEP.findall(field):
            found = _within(node, int(index) if index else name)
            if found is None:
                break
            line, node = found
        return line + 1


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """A finding, and where it stands."""

    source: str
    line: int
    finding: Finding

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.finding.severity}: {self.finding}"


def written(text: str, source: str, namespace: str = "default") -> list[Written]:
    """The objects of a text. Those that name no namespace are meant for `namespace`, as with ``kubectl apply -n``.

    Raises PolicyError ML201 or ML202 where the text holds no objects.
    """
    objects = load(text, source)
    nodes = [node for document in yaml.compose_all(text, yaml.SafeLoader) for node in _unfold(document)]
    for obj in objects:
        obj["metadata"]["namespace"] = obj["metadata"].get("namespace") or namespace
    return [Written(obj, source, node) for obj, node in zip(objects, nodes, strict=True)]


def lint(texts: Iterable[Written], languages: Sequence[PolicyLanguage]) -> list[Remark]:
    """What is wrong with them, each held against all the others."""
    by_name: dict[str, Written] = {}
    objects: dict[str, list[Object]] = defaultdict(list)
    remarks: list[Remark] = []
    for item in texts:
        report = Report(item.obj)
        if _is_named(item.obj, report) and _is_known(item.obj, languages, report):
            if earlier := by_name.get(report.about):
                where = f"{earlier.source}, line {earlier.line('')}"
                report.warning("ML204", "metadata.name", f"it is in {where}, too; the last one counts", "remove one")
            by_name[report.about] = item
            objects[group_of(item.obj)].append(item.obj)
        remarks += [Remark(item.source, item.line(finding.field), finding) for finding in report.findings]
    for language in languages:
        groups = {"", *(kind.group for kind in (*language.kinds, *language.refers_to))}
        for finding in _read(language, [obj for group in groups for obj in objects[group]]):
            item = by_name[finding.about]
            remarks.append(Remark(item.source, item.line(finding.field), finding))
    return sorted(remarks)


def errors(remarks: Iterable[Remark]) -> int:
    """How many of them refuse an object."""
    return sum(remark.finding.severity is Severity.ERROR for remark in remarks)


def _read(language: PolicyLanguage, objects: list[Object]) -> tuple[Finding, ...]:
    """What a language finds. Services and other kinds of Kubernetes may have any shape in a file."""
    try:
        return language.read(objects).findings
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PolicyError(
            "ML206", f"{error}", hint="kubectl apply --dry-run=server -f FILE says what is wrong with it"
        ) from error


def _is_named(obj: Object, report: Report) -> bool:
    for key in _METADATA:
        if not isinstance(value := obj["metadata"].get(key, ""), str):
            report.error("ML210", f"metadata.{key}", f"{value!r} is not text", "write it in quotes")
            return False
    return True


def _is_known(obj: Object, languages: Iterable[PolicyLanguage], report: Report) -> bool:
    """Whether a kind of a policy's API group is one; kinds of other groups are none of ours."""
    group = group_of(obj)
    known = {kind.kind for language in languages for kind in language.kinds if kind.group == group}
    if known and not group.endswith(_KUBERNETES_OWN) and obj["kind"] not in known:
        report.error("ML203", "kind", f"{group} has no {obj['kind']}", f"it has {', '.join(sorted(known))}")
        return False
    return True


def _within(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    """The line and the node of a key or an item."""
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None


def _unfold(document: Any) -> Iterator[yaml.Node]:
    """The nodes of a document's objects, as `load` takes it apart."""
    fields = {key.value: value for key, value in document.value} if isinstance(document, yaml.MappingNode) else {}
    if "kind" in fields and fields["kind"].value == "List" and isinstance(fields.get("items"), yaml.SequenceNode):
        yield from fields["items"].value
    elif document.tag != "tag:yaml.org,2002:null":
        yield document
