"""What does one proxy run by, what was it told lately, and what did it answer after how many milliseconds?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from meshlab.errors import LabError
from meshlab.kube import Kube, dump
from meshlab.lab.difference import Difference
from meshlab.lab.stream import ROOT

_KINDS = ("Listener", "Route", "Cluster", "Endpoints", "Secret")


@dataclass(frozen=True, slots=True)
class Told:
    """One time that the proxy was told something."""

    generation: int
    time: datetime
    because: tuple[str, ...]
    """The objects whose change it was for: ``TrafficSplit bookstore/bookstore``."""
    milliseconds: float | None
    """Until the proxy had acknowledged; None while it has not, or if more was told before it had."""
    refused: tuple[str, ...]
    """The proxy's reasons, if it refused."""
    changes: tuple[Difference, ...]
    everything: bool = False
    """The proxy was new to the control plane: no changes are listed."""

    @property
    def title(self) -> str:
        """When, why, and what became of it."""
        why = f" for {', '.join(self.because)}" if self.because else ""
        changes = "1 change" if len(self.changes) == 1 else f"{len(self.changes)} changes"
        what = "everything" if self.everything else changes
        return f"{self.time:%H:%M:%S} told {what}{why}: {self._answer}"

    @property
    def _answer(self) -> str:
        if self.refused:
            return f"✗ refused: {'; '.join(self.refused)}"
        return "… not acknowledged" if self.milliseconds is None else f"✓ acknowledged after {self.milliseconds:.0f} ms"

    def __str__(self) -> str:
        return "\n".join([self.title, *(_indented(str(change)) for change in self.changes)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.html(is_open=True)

    def html(self, *, is_open: bool) -> str:
        """The title, which opens what changed."""
        body = "".join(f"<div>{escape(change.title)}</div>{change.html()}" for change in self.changes)
        return _fold(self.title, body, is_open=is_open)


@dataclass(frozen=True, slots=True)
class ProxyConfiguration:
    """A proxy's resources as Envoy has them, what overlays change in them, and what it was told lately."""

    proxy: str
    resources: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """By kind (Listener, Route, Cluster, Endpoints, Secret) and name."""
    overlays: tuple[tuple[str, Difference], ...]
    """What each ProxyOverlay (``namespace/name``) changes."""
    told: tuple[Told, ...]
    """Oldest first; the control plane remembers some hundred times, of all proxies together."""
    connected: bool

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """A listener, route or other resource by its name."""
        for named in self.resources.values():
            if name in named:
                return named[name]
        raise KeyError(name)

    @property
    def title(self) -> str:
        """Which proxy, and how many resources of each kind."""
        counts = Counter({kind: len(named) for kind, named in self.resources.items()})
        parts = ", ".join(f"{kind} {counts[kind]}" for kind in _KINDS if counts[kind])
        return f"{self.proxy}: {parts}" + ("" if self.connected else " (not connected)")

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return str(self)

    def _lines(self) -> Iterator[str]:
        yield self.title
        for kind, named in self.resources.items():
            yield f"  {kind}"
            yield from (f"    {name}" for name in named)
        for overlay, change in self.overlays:
            yield f"  changed by ProxyOverlay {overlay}:"
            yield _indented(str(change), 4)
        for told in self.told[-1:]:
            yield _indented(str(told))

    def _repr_html_(self) -> str:
        parts = [f"<b>{escape(self.title)}</b>"]
        for kind, named in self.resources.items():
            items = "".join(_resource(name, body) for name, body in named.items())
            parts.append(_fold(f"{kind} ({len(named)})", items))
        parts += [
            _fold(f"changed by ProxyOverlay {overlay}: {change.title}", change.html(), is_open=True)
            for overlay, change in self.overlays
        ]
        newest_first = self.told[::-1]
        parts += [told.html(is_open=told is newest_first[0]) for told in newest_first]
        return f"<div>{''.join(parts)}</div>"


async def xds(kube: Kube, pod: str) -> ProxyConfiguration:
    """The configuration of a pod's proxy. `pod` is its name, ``namespace/name``, or that of its workload.

    Raises LabError ML607 when there is no such proxy.
    """
    namespace, name = await _find(kube, pod)
    found = await kube.request("GET", f"{ROOT}/configuration", query={"namespace": namespace, "name": name})
    resources: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    for item in sorted(found["resources"], key=lambda item: str(item["name"])):
        resources.setdefault(item["kind"], {})[item["name"]] = item["body"]
    return ProxyConfiguration(
        proxy=found["proxy"],
        resources={kind: named for kind, named in resources.items() if named},
        overlays=tuple((item["overlay"], _difference(item)) for item in found["overlays"]),
        told=tuple(_told(item) for item in found["told"]),
        connected=found["connected"],
    )


async def _find(kube: Kube, pod: str) -> tuple[str, str]:
    items = (await kube.request("GET", f"{ROOT}/proxies"))["items"]
    matching = [item["proxy"] for item in items if pod in _names(item)]
    if not matching:
        known = ", ".join(sorted({item["workload"] for item in items})) or "none"
        raise LabError("ML607", f"no proxy belongs to {pod!r}", about=pod, hint=f"workloads with a proxy: {known}")
    namespace, _, name = min(matching).partition("/")
    return namespace, name


def _names(item: Mapping[str, Any]) -> set[str]:
    namespace, _, name = item["proxy"].partition("/")
    return {item["proxy"], name, item["workload"], f"{namespace}/{item['workload']}"}


def _told(item: Mapping[str, Any]) -> Told:
    return Told(
        generation=item["generation"],
        time=datetime.fromtimestamp(item["time"]).astimezone(),
        because=tuple(item["because"]),
        milliseconds=item["milliseconds"],
        refused=tuple(item["refused"]),
        changes=tuple(_difference(change) for change in item["changes"]),
        everything=item["everything"],
    )


def _difference(item: Mapping[str, Any]) -> Difference:
    return Difference(item["kind"], item["name"], item["before"], item["after"])


def _indented(text: str, by: int = 2) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())


def _resource(name: str, body: Mapping[str, Any]) -> str:
    return _fold(name, f"<pre style='margin:0 0 .5em 1em;line-height:1.25'>{escape(dump(dict(body)))}</pre>")


def _fold(title: str, body: str, *, is_open: bool = False) -> str:
    return (
        f"<details style='margin-left:1em'{' open' if is_open else ''}>"
        f"<summary>{escape(title)}</summary>{body}</details>"
    )
