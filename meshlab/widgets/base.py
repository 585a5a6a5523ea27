"""What do all widgets have in common? Their files, and a sentence where no script runs."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import Any

import anywidget

_FOLDER = files("meshlab") / "widgets"


def script(name: str) -> str:
    """A widget's script, the shared pieces before it: a front end loads it as one module, offline."""
    return _read("shared.js") + _read(f"{name}.js")


def style(name: str) -> str:
    """A widget's style, the shared one before it."""
    return _read("shared.css") + _read(f"{name}.css")


class LabWidget(anywidget.AnyWidget):  # type: ignore[misc]  # the library has no types
    """A widget with a text twin: `text()` is what a terminal, a saved notebook and a screen reader get."""

    def text(self) -> str:
        """What the widget shows, in words."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, "text/plain": self.text(), "text/html": f"<pre>{escape(self.text())}</pre>"}, metadata


def _read(name: str) -> str:
    return (_FOLDER / name).read_text()
