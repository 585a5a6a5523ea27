"""How does the image come into a Docker engine? Built once for a content; asked for again, it is there at once."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

import platformdirs

from meshlab.cluster.image.contents import BASE_IMAGE, requirements, write_context
from meshlab.cluster.programs import run
from meshlab.errors import ClusterError

_LABEL = "dev.meshlab.image"
_PROBE = "import sys, platform; print(*sys.version_info[:2], sep='.'); print(platform.machine())"
_WHEELS = ("manylinux_2_36", "manylinux_2_35", "manylinux_2_34", "manylinux_2_31", "manylinux_2_28")
_OLDER_WHEELS = ("manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "linux")


async def build(name: str) -> None:
    """Build this installation's image under its name, unless the engine has it. Raises ClusterError ML157."""
    if not await _exists(name):
        packages = await _packages()
        with tempfile.TemporaryDirectory(prefix="meshlab-image-") as folder:
            context = Path(folder) / "context.tar"
            await asyncio.to_thread(write_context, context, packages)
            await run(
                *("docker", "build", "--quiet", "--tag", name, "--label", f"{_LABEL}=1"),
                *("--build-arg", f"BASE_IMAGE={BASE_IMAGE}", "-"),
                code="ML157",
                about=name,
                hint="MESHLAB_BASE_IMAGE=… names another base image",
                stdin=context,
            )


async def tag(name: str, reference: str) -> None:
    """Give a built image another name. Raises ClusterError ML157 for one that can't be an image's."""
    hint = "a name is like registry.example/meshlab:0.1.0"
    await run("docker", "tag", name, reference, code="ML157", about=reference, hint=hint)


async def _exists(name: str) -> bool:
    found = await run("docker", "image", "ls", "--quiet", name, code="ML151", hint="start your Docker daemon")
    return bool(found.strip())


async def _packages() -> Path:
    """A folder of packages for the base image's Python and machine, filled by pip; kept in the user's cache."""
    python, machine = await _python_of_base()
    wanted = requirements()
    key = hashlib.sha256("\n".join([python, machine, *wanted]).encode()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("meshlab", appauthor=False) / "image" / key
    if folder.exists():
        return folder
    draft = folder.with_name(f"{key}.part")
    shutil.rmtree(draft, ignore_errors=True)
    await run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(draft), "--no-compile"),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
        *(word for wheel in (*_WHEELS, *_OLDER_WHEELS) for word in ("--platform", f"{wheel}_{machine}")),
        *wanted,
        code="ML157",
        what="pip could not bring the image's packages",
        about=f"Python {python} on {machine}",
        hint="python -m pip install grpcio shows whether pip reaches its index",
    )
    draft.rename(folder)
    return folder


async def _python_of_base() -> tuple[str, str]:
    """The version of Python in the base image, and the machine it is for."""
    said = await run(
        *("docker", "run", "--rm", "--network", "none", BASE_IMAGE, "python", "-c", _PROBE),
        code="ML157",
        what="the base image can't be used",
        about=BASE_IMAGE,
        hint="docker pull it, or name another with MESHLAB_BASE_IMAGE=…",
    )
    try:
        python, machine = said.split()
    except ValueError as error:
        raise ClusterError("ML157", f"its Python says {said!r}", about=BASE_IMAGE) from error
    return python, machine
