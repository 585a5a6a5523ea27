"""`python -m meshlab.cli`: the same as `meshlab`, with this very interpreter."""

import sys

from meshlab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
