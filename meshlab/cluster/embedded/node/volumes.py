"""Which files does a container find, and how do they change under its feet without ever being half written?

A folder of files is swapped as the kubelet does it: the files are written to a new folder, then the symbolic
link `..data` is moved to it in one step; each file's name is a link through `..data`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from meshlab.cluster.embedded.node import fields
from meshlab.cluster.embedded.node.sources import MissingSourceError, Sources
from meshlab.errors import ClusterError
from meshlab.kube import Object

log = logging.getLogger(__name__)

CREDENTIALS = "/var/run/secrets/kubernetes.io/serviceaccount"
_CREDENTIALS_VOLUME = "kube-api-access"
_FROM_API = {"configMap", "secret", "downwardAPI", "projected"}
_DEFAULT_MODE = 0o644
_RENEW_AFTER = 0.8
_TRY_AGAIN_SECONDS = 10.0

Files = dict[str, tuple[bytes, int]]
"""Content and mode by path inside the volume."""


class Volumes:
    """The volumes of one pod."""

    def __init__(self, sources: Sources, pod: Object, folder: Path) -> None:
        self._sources = sources
        self._pod = pod
        self._folder = folder
        self._specs: dict[str, Mapping[str, Any]] = {spec["name"]: spec for spec in pod["spec"].get("volumes") or []}
        self._tokens: dict[tuple[str, int], tuple[str, float]] = {}
        self._refreshing = asyncio.Lock()

    async def prepare(self) -> None:
        """Make every volume. Raises MissingSourceError when a source isn't there yet."""
        if await self._wants_credentials():
            self._specs[_CREDENTIALS_VOLUME] = _credentials_volume()
        for name, spec in self._specs.items():
            kind = next((key for key in spec if key != "name"), "emptyDir")
            path = self._folder / name
            if kind in _FROM_API:
                path.mkdir(parents=True, exist_ok=True)
                _write_atomically(path, await self._files(spec))
            else:
                _make_plain(path, kind, spec[kind] or {})

    async def refresh(self, pod: Object) -> None:
        """Bring the files up to date; a source that is gone for the moment leaves them as they are."""
        self._pod = pod
        async with self._refreshing:
            for name, spec in self._specs.items():
                if _FROM_API & spec.keys():
                    with suppress(MissingSourceError, ClusterError):
                        _write_atomically(self._folder / name, await self._files(spec))

    async def keep_tokens_fresh(self) -> None:
        """Renew every token well before it expires, until cancelled."""
        while self._tokens:
            wait = min(due for _, due in self._tokens.values()) - time.monotonic()
            await asyncio.sleep(max(wait, _TRY_AGAIN_SECONDS if wait <= 0 else 0))
            await self.refresh(self._pod)

    def uses(self, kind: str, name: str) -> bool:
        """Whether a ConfigMap or Secret of that name is a source of a volume."""
        return any((kind, name) in _sources_of(spec) for spec in self._specs.values())

    def mount(self, container: Mapping[str, Any], root: Path) -> None:
        """Let a container find its volumes at their mount paths under `root`."""
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        mounts = list(container.get("volumeMounts") or [])
        if _CREDENTIALS_VOLUME in self._specs and all(mount["mountPath"] != CREDENTIALS for mount in mounts):
            mounts.append({"name": _CREDENTIALS_VOLUME, "mountPath": CREDENTIALS})
        for mount in sorted(mounts, key=lambda mount: mount["mountPath"].count("/")):
            source = self._folder / mount["name"] / mount.get("subPath", "")
            if mount.get("subPath") and not source.exists():
                source.mkdir(parents=True)
            target = root / mount["mountPath"].strip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and not target.is_symlink():
                target.rmdir()  # of another volume; refused by the system when something is in it
            target.unlink(missing_ok=True)
            target.symlink_to(source)

    async def _wants_credentials(self) -> bool:
        """Whether the account's credentials are to be mounted and the API server has not added them already."""
        if not self._pod["spec"].get("serviceAccountName"):
            return False
        containers = [*self._pod["spec"]["containers"], *(self._pod["spec"].get("initContainers") or [])]
        mounts = [mount["mountPath"] for container in containers for mount in container.get("volumeMounts") or []]
        wish = self._pod["spec"].get("automountServiceAccountToken")
        if wish is None and CREDENTIALS not in mounts:
            wish = (await self._sources.account(self._pod)).get("automountServiceAccountToken")
        return wish is not False and CREDENTIALS not in mounts

    async def _files(self, spec: Mapping[str, Any]) -> Files:
        files: Files = {}
        if projected := spec.get("projected"):
            for source in projected.get("sources") or []:
                files |= await self._project(source, projected.get("defaultMode", _DEFAULT_MODE))
            return files
        source = spec.get("configMap") or spec.get("secret") or spec.get("downwardAPI") or {}
        return await self._project(spec, source.get("defaultMode", _DEFAULT_MODE))

    async def _project(self, source: Mapping[str, Any], mode: int) -> Files:
        namespace = self._pod["metadata"]["namespace"]
        if reference := source.get("configMap"):
            return _choose(await self._sources.config_map(namespace, reference), reference, mode)
        if reference := source.get("secret"):
            return _choose(await self._sources.secret(namespace, reference), reference, mode)
        if reference := source.get("serviceAccountToken"):
            token = await self._token(reference.get("audience", ""), reference.get("expirationSeconds", 3600))
            return {reference["path"]: (token.encode(), 0o600)}
        items = (source["downwardAPI"] or {}).get("items") or []
        return {item["path"]: (self._field(item).encode(), item.get("mode", mode)) for item in items}

    def _field(self, item: Mapping[str, Any]) -> str:
        if reference := item.get("fieldRef"):
            return fields.pod_field(self._pod, reference["fieldPath"])
        return fields.resource_field(self._pod, item["resourceFieldRef"], item["resourceFieldRef"]["containerName"])

    async def _token(self, audience: str, seconds: int) -> str:
        token, due = self._tokens.get((audience, seconds), ("", 0.0))
        if time.monotonic() >= due:
            token, lifetime = await self._sources.token(self._pod, audience, seconds)
            self._tokens[audience, seconds] = token, time.monotonic() + lifetime * _RENEW_AFTER
        return token


def _credentials_volume() -> dict[str, Any]:
    """What the API server's admission adds to a pod: the account's token, the CA, the namespace."""
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": _CREDENTIALS_VOLUME, "projected": {"sources": sources}}


def _sources_of(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for source in [spec, *((spec.get("projected") or {}).get("sources") or [])]:
        if reference := source.get("configMap"):
            yield "ConfigMap", reference.get("name", "")
        if reference := source.get("secret"):
            yield "Secret", reference.get("secretName") or reference.get("name", "")


def _choose(content: Mapping[str, bytes], reference: Mapping[str, Any], mode: int) -> Files:
    items = reference.get("items")
    if items is None:
        return {key: (value, mode) for key, value in content.items()}
    missing = [item["key"] for item in items if item["key"] not in content]
    if missing and not reference.get("optional"):
        raise MissingSourceError(f"references non-existent key: {missing[0]}")
    return {
        item["path"]: (content[item["key"]], item.get("mode", mode)) for item in items if item["key"] not in missing
    }


def _make_plain(path: Path, kind: str, spec: Mapping[str, Any]) -> None:
    if kind == "emptyDir":
        path.mkdir(parents=True, exist_ok=True)
        return
    source = Path(spec["path"])
    if spec.get("type") == "DirectoryOrCreate":
        source.mkdir(parents=True, exist_ok=True)
    elif not source.exists():
        raise MissingSourceError(f"hostPath {source} does not exist")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_symlink():
        path.symlink_to(source)


def _write_atomically(folder: Path, files: Files) -> None:
    """Make the folder show exactly these files, all of them at once."""
    current = folder / "..data"
    if current.is_symlink() and _read(current) == files:
        return
    new = folder / f"..{time.time_ns()}"
    for name, (content, mode) in files.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        path.chmod(mode)
    new.mkdir(exist_ok=True)
    old = current.resolve() if current.is_symlink() else None
    draft = folder / "..data_new"
    draft.symlink_to(new.name)
    draft.replace(current)
    for name in {Path(name).parts[0] for name in files}:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and not entry.exists():
            entry.unlink()
    if old:
        shutil.rmtree(old, ignore_errors=True)


def _read(folder: Path) -> Files:
    found = folder.resolve()
    paths = [path for path in found.rglob("*") if path.is_file()]
    return {str(path.relative_to(found)): (path.read_bytes(), path.stat().st_mode & 0o777) for path in paths}
