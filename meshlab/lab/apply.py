"""What became of the YAML I applied? Stored by the cluster, then taken or refused by each proxy it concerns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Any

from meshlab.errors import ClusterError, LabError, MeshlabError
from meshlab.kube import ApiError, Kube, Object, Ref, load
from meshlab.lab.stream import ROOT

MANAGER = "meshlab-lab"
"""The field manager of everything the lab writes: `kubectl get -o yaml --show-managed-fields` shows it."""

_CONFIGURES_PROXIES = {"TrafficSplit", "TrafficTarget", "HTTPRouteGroup", "TCPRoute", "MeshConfig", "ProxyOverlay"} | {
    "Egress",
    "IngressBackend",
    "Ingress",
    "UpstreamTrafficSetting",
    "Retry",
}
_PATIENCE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What one proxy said: took it after so many milliseconds, refused it for a reason, or nothing yet."""

    proxy: str
    acknowledged: bool
    milliseconds: float | None
    refused: str = ""

    def __str__(self) -> str:
        if self.refused:
            return f"✗ {self.proxy} refused: {self.refused}"
        return f"✓ {self.proxy} after {self.milliseconds:.0f} ms" if self.acknowledged else f"… {self.proxy} is silent"


@dataclass(frozen=True, slots=True)
class Applied:
    """One object, as the cluster has it now, and what the proxies made of it."""

    ref: Ref
    action: str
    """``created``, ``configured`` or ``unchanged``, as kubectl says."""
    version: str
    """The resource version that the proxies acknowledged."""
    answers: tuple[Answer, ...] = ()
    remarks: tuple[str, ...] = ()
    seen: bool = True
    """Whether the control plane has taken the change in."""
    wrong: bool = False
    """Whether a remark says that it is wrong, and so does not count."""

    @property
    def ok(self) -> bool:
        """Whether every proxy it concerns runs by it."""
        return self.seen and not self.wrong and all(answer.acknowledged for answer in self.answers)

    @property
    def sentence(self) -> str:
        """What the proxies made of it, in a few words."""
        if not self.seen:
            return "the control plane has not seen it yet"
        if not self.answers:
            return "no proxy had to change"
        took = [answer for answer in self.answers if answer.acknowledged]
        words = f"acknowledged by {len(took)} of {len(self.answers)} proxies"
        slowest = max((answer.milliseconds or 0 for answer in took), default=None)
        return words if slowest is None else f"{words} within {slowest:.0f} ms"

    def __str__(self) -> str:
        head = f"{'✓' if self.ok else '✗'} {self.ref} {self.action} (version {self.version}): {self.sentence}"
        return "\n  ".join([head, *map(str, self.answers), *(f"! {remark}" for remark in self.remarks)])


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an apply, object by object."""

    objects: tuple[Applied, ...]

    @property
    def ok(self) -> bool:
        """Whether every proxy concerned has acknowledged every object."""
        return all(applied.ok for applied in self.objects)

    def __str__(self) -> str:
        return "\n".join(map(str, self.objects))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return "".join(_html(applied) for applied in self.objects)


def read(source: str | Path) -> list[Object]:
    """The objects of a YAML text, of a file, or of every .yaml file of a folder.

    Raises LabError ML502 for a path that isn't there, and what `meshlab.kube.load` raises.
    """
    path = Path(source) if isinstance(source, Path) or _looks_like_a_path(source) else None
    if path is None:
        return load(str(source))
    if not path.exists():
        raise LabError("ML502", "there is no such file", about=str(path), hint=f"the notebook runs in {Path.cwd()}")
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return [obj for file in files for obj in load(file.read_text(), str(file))]


async def apply(kube: Kube, objects: Iterable[Object], *, force: bool = False) -> Receipt:
    """Server-side apply, in order, then a receipt for each.

    `force` takes over fields that somebody else (kubectl, another tool) owns; without it that is LabError ML501.
    """
    stored: list[tuple[Object, str]] = []
    for obj in objects:
        try:
            stored.append(await _store(kube, obj, force=force))
        except MeshlabError as error:
            done = ", ".join(str(Ref.of(earlier)) for earlier, _ in stored)
            if done:
                error.hint = f"{error.hint}. Applied before it: {done}" if error.hint else f"applied before it: {done}"
                error.args = (str(error),)
            raise
    return Receipt(tuple(await asyncio.gather(*(_receipt(kube, obj, action) for obj, action in stored))))


async def receipt(kube: Kube, obj: Object, action: str) -> Applied:
    """What the proxies make of an object as it is stored now; waits up to five seconds for them."""
    ref, version = Ref.of(obj), obj["metadata"]["resourceVersion"]
    query = {
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "resourceVersion": version,
        "wait": str(_PATIENCE_SECONDS),
    }
    try:
        found = await kube.request("GET", f"{ROOT}/receipts", query=query, about=str(ref))
    except ClusterError as error:
        return Applied(ref, action, version, remarks=(f"the control plane doesn't answer: {error.what}",), seen=False)
    answers = tuple(
        Answer(row["proxy"], row["acknowledged"], row["milliseconds"], row["refused"] or "") for row in found["proxies"]
    )
    findings = found.get("findings") or ()
    wrong = any(finding["severity"] == "error" for finding in findings)
    return Applied(ref, action, version, answers, tuple(map(_remark, findings)), seen=found["seen"], wrong=wrong)


async def _store(kube: Kube, obj: Object, *, force: bool) -> tuple[Object, str]:
    kind, ref = await kube.kind_of(obj), Ref.of(obj)
    before = await kube.find(kind, ref.name, (ref.namespace or "default") if kind.namespaced else "")
    try:
        after = await kube.apply(obj, manager=MANAGER, force=force)
    except ApiError as error:
        if error.status == HTTPStatus.CONFLICT and error.reason == "Conflict" and not force:
            hint = "lab.apply(…, force=True) takes the fields over, as kubectl's --force-conflicts does"
            raise LabError("ML501", error.message, about=str(ref), hint=hint) from error
        raise
    if before is None:
        return after, "created"
    same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return after, "unchanged" if same else "configured"


async def _receipt(kube: Kube, obj: Object, action: str) -> Applied:
    if action == "unchanged" or obj["kind"] not in _CONFIGURES_PROXIES:
        return Applied(Ref.of(obj), action, obj["metadata"]["resourceVersion"])
    return await receipt(kube, obj, action)


def _looks_like_a_path(text: str) -> bool:
    return "\n" not in text and (
        text.endswith((".yaml", ".yml", ".json", "/")) or (":" not in text and Path(text).exists())
    )


def _remark(finding: Mapping[str, Any]) -> str:
    return f"{finding['code']} {finding['field']}: {finding['what']} Hint: {finding['cure']}"


def _html(applied: Applied) -> str:
    lines = [str(answer) for answer in applied.answers] + [f"! {remark}" for remark in applied.remarks]
    head = (
        f"{'✓' if applied.ok else '✗'} <b>{escape(str(applied.ref))}</b> {applied.action}: "
        f"{escape(applied.sentence)} <small>(version {escape(applied.version)})</small>"
    )
    if not lines:
        return f"<div>{head}</div>"
    items = "".join(f"<li style='list-style:none'>{escape(line)}</li>" for line in lines)
    is_open = "" if applied.ok and not applied.remarks else " open"
    return f"<details{is_open}><summary>{head}</summary><ul>{items}</ul></details>"
