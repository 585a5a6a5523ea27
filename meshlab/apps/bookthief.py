"""Wants books it has no right to; calls itself bookbuyer, and is bookthief all the same."""

from meshlab.apps.client import main

if __name__ == "__main__":
    main("bookthief")
