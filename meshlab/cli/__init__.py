"""What can one type in a terminal? One module per verb; `main.py` joins them."""

from __future__ import annotations

import sys


def run() -> int:
    """The program `meshlab`. What it needs takes a second to load, and Ctrl-C is to be as calm then as later."""
    try:
        from meshlab.cli.main import main  # noqa: PLC0415

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return 130
