"""How do the sliders and the cluster stay in step? The sliders write a TrafficSplit; what anyone wrote moves them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from meshlab.errors import LabError, MeshlabError
from meshlab.kube import Kube, Object, Ref, Reflector, dump
from meshlab.kube.objects import SERVICE, TRAFFIC_SPLIT
from meshlab.lab.apply import MANAGER, receipt
from meshlab.mesh.service import ServiceName
from meshlab.widgets import SplitWidget

_FULL = 100


class SplitControl:
    """One widget and the TrafficSplit of one Service. Belongs to the lab's loop.

    While writes are under way the newest wish wins and what the watch reports is not shown: the sliders would
    jump back to where they were a moment ago.
    """

    def __init__(self, kube: Kube, widget: SplitWidget, root: ServiceName, leaves: Sequence[str]) -> None:
        self._kube = kube
        self._widget = widget
        self._root = root
        self._leaves = leaves
        self._splits = Reflector(kube, TRAFFIC_SPLIT, root.namespace)
        self._wish: dict[str, int] | None = None
        self._wished = asyncio.Event()
        self._newest: Object | None = None
        self.shown = asyncio.Event()
        """Set once the widget shows what the cluster has."""
        self._said = ""
        """The version of the split that the widget's words are about."""

    async def run(self) -> None:
        """Keep both in step, until cancelled."""
        await asyncio.gather(self._follow(), self._write())

    async def move(self, weights: Mapping[str, int]) -> None:
        """A slider was moved: these are the weights to write."""
        self._wish = dict(weights)
        self._wished.set()

    async def _follow(self) -> None:
        async for change in self._splits.changes():
            if not self.shown.is_set() and change.type != "SYNCED":
                continue
            found = [split for split in self._splits.store.values() if _root_of(split) == self._root]
            self._newest = min(found, key=lambda split: split["metadata"]["name"], default=None)
            if self._wish is None:
                self._show(**self._changed_by_others())
            self.shown.set()

    async def _write(self) -> None:
        while True:
            await self._wished.wait()
            self._wished.clear()
            try:
                stored, action = await self._store()
            except MeshlabError as error:
                self._show(receipt="", details="", error=str(error))
                continue
            if self._wished.is_set():
                continue
            await self._await_receipt(stored, action)

    async def _store(self) -> tuple[Object, str]:
        """Write the newest wish; a wish that comes meanwhile waits for the next turn."""
        wish = self._wish or {}
        action = "configured" if self._newest else "created"
        try:
            stored = await self._kube.apply(split(self._root, wish, self._newest), manager=MANAGER, force=True)
        finally:
            if not self._wished.is_set():
                self._wish = None
        if self._newest is None or _version(stored) > _version(self._newest):
            self._newest = stored
        self._said = stored["metadata"]["resourceVersion"]
        return stored, action

    async def _await_receipt(self, stored: Object, action: str) -> None:
        self._show(receipt="Waiting for the proxies …", details="", error="")
        waiting = asyncio.ensure_future(receipt(self._kube, stored, action))
        overtaken = asyncio.ensure_future(self._wished.wait())
        try:
            await asyncio.wait({waiting, overtaken}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                applied = waiting.result()
                self._show(receipt=f"{'✓' if applied.ok else '✗'} {applied.sentence}", details=str(applied))
        finally:
            for task in (waiting, overtaken):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _changed_by_others(self) -> dict[str, str]:
        version = self._newest["metadata"]["resourceVersion"] if self._newest else ""
        if version == self._said:
            return {}
        self._said = version
        if self._newest is None:
            return {"receipt": "The TrafficSplit was deleted.", "details": "", "error": ""}
        return {"receipt": f"As {_last_writer(self._newest)} wrote it.", "details": "", "error": ""}

    def _show(self, **words: str) -> None:
        backends = dict.fromkeys(self._leaves, 0)
        if self._newest is None:
            backends = even(self._leaves)
        else:
            backends |= {row["service"]: row["weight"] for row in self._newest["spec"]["backends"]}
        text = dump(split(self._root, backends, self._newest))
        self._widget.show(
            exists=self._newest is not None,
            backends=[{"service": service, "weight": weight} for service, weight in backends.items()],
            yaml=text,
            command=command(text),
            **words,
        )


def split(root: ServiceName, weights: Mapping[str, int], known: Object | None) -> Object:
    """The TrafficSplit as the sliders mean it: server-side apply leaves every field it doesn't name as it is."""
    name = known["metadata"]["name"] if known else root.name
    service = known["spec"]["service"] if known else root.name
    return {
        "apiVersion": TRAFFIC_SPLIT.api_version,
        "kind": TRAFFIC_SPLIT.kind,
        "metadata": {"name": name, "namespace": root.namespace},
        "spec": {
            "service": service,
            "backends": [{"service": backend, "weight": weight} for backend, weight in weights.items()],
        },
    }


def command(text: str) -> str:
    """What a person types to do the same."""
    apply = f"kubectl apply --server-side --force-conflicts --field-manager={MANAGER} -f -"
    return f"{apply} <<'EOF'\n{text}EOF\n"


def even(leaves: Sequence[str]) -> dict[str, int]:
    """The same weight for each, a hundred in all."""
    share, rest = divmod(_FULL, max(1, len(leaves)))
    return {leaf: share + (number < rest) for number, leaf in enumerate(leaves)}


async def find_root(kube: Kube, service: str) -> ServiceName:
    """The Service a person means by ``bookstore``, ``bookstore.bookstore`` or ``bookstore/bookstore``.

    Raises LabError ML503 when there is none, or several of that name.
    """
    namespace, slash, name = service.partition("/")
    if not slash:
        name, _, namespace = service.partition(".")
    found = [
        obj["metadata"]["namespace"] for obj in await kube.list(SERVICE, namespace) if obj["metadata"]["name"] == name
    ]
    if len(found) == 1:
        return ServiceName(found[0], name)
    about = str(Ref("Service", name, namespace))
    if found:
        hint = f'say which: lab.split("{found[0]}/{name}")'
        raise LabError("ML503", f"it is in {len(found)} namespaces: {', '.join(found)}", about=about, hint=hint)
    raise LabError("ML503", "there is no such Service", about=about, hint="kubectl get services -A")


async def find_leaves(kube: Kube, root: ServiceName) -> list[str]:
    """The Services that select a part of the root's pods: its versions.

    Raises LabError ML504 when there is none, and so nothing to choose from.
    """
    services = await kube.list(SERVICE, root.namespace)
    selectors = {obj["metadata"]["name"]: obj["spec"].get("selector") or {} for obj in services}
    wanted = selectors[root.name].items()
    leaves = sorted(name for name, selector in selectors.items() if wanted < selector.items() and wanted)
    if not leaves:
        hint = f"make one Service for each version, with the selector of {root.name} and one label more"
        raise LabError("ML504", "no Service selects a part of its pods", about=f"Service {root}", hint=hint)
    return leaves


def _root_of(obj: Object) -> ServiceName:
    """`spec.service` may be a bare name, ``name.namespace`` or a full DNS name; its namespace is the split's."""
    return ServiceName(obj["metadata"]["namespace"], str(obj["spec"]["service"]).partition(".")[0])


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _last_writer(obj: Object) -> str:
    """The manager that wrote last, as managedFields has it."""
    entries = obj["metadata"].get("managedFields") or [{"manager": "somebody"}]
    newest = max(entries, key=lambda entry: str(entry.get("time", "")))
    return str(newest["manager"])
