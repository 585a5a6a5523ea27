"""`python -m meshlab.cli`: the same as `meshlab`, with this very interpreter."""

import sys

from meshlab.cli import run

if __name__ == "__main__":
    sys.exit(run())
