"""Buys books, and says who it is."""

from meshlab.apps.client import main

if __name__ == "__main__":
    main("bookbuyer")
