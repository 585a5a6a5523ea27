"""How does one speak to the mesh without Python? `%kubectl …` and a cell of YAML under `%%smi`."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from IPython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand

from meshlab.errors import LabError
from meshlab.lab.kubectl import find_kubectl

if TYPE_CHECKING:
    from meshlab.lab.apply import Receipt
    from meshlab.lab.lab import Lab

_in_use: dict[str, Lab] = {}


def use(lab: Lab) -> None:
    """Let the magics speak to this lab from now on."""
    _in_use["lab"] = lab
    shell = get_ipython()
    if shell is not None:
        load_ipython_extension(shell)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext meshlab`. `meshlab.up()` does it too."""
    shell.register_magic_function(kubectl, "line", "kubectl")
    shell.register_magic_function(smi, "cell", "smi")


@no_var_expand  # type: ignore[untyped-decorator]
def kubectl(line: str) -> None:
    """Run kubectl against the lab in use, and print what it says, as it says it: ``%kubectl get pods -A``.

    The notebook's stop button ends a command that goes on forever, such as `get -w` or `logs -f`.
    """
    environment = {**os.environ, "KUBECONFIG": str(_lab().kubeconfig)}
    command = [str(find_kubectl()), *shlex.split(line)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for said in process.stdout or ():
                print(said, end="", flush=True)  # noqa: T201  # a magic speaks by printing
        except KeyboardInterrupt:
            process.terminate()


@no_var_expand  # type: ignore[untyped-decorator]
def smi(line: str, cell: str) -> Receipt:
    """Apply the cell's YAML and show the receipt; ``%%smi --force`` takes over fields that others own."""
    words = line.split()
    if set(words) - {"--force"}:
        raise LabError(
            "ML507", f"it takes --force, not {line!r}", about="%%smi", hint="the YAML begins on the next line"
        )
    return _lab().apply(cell, force=bool(words))


def _lab() -> Lab:
    try:
        return _in_use["lab"]
    except KeyError:
        raise LabError("ML506", "no lab is in use in this notebook", hint="lab = meshlab.up()") from None
