"""Which things can go wrong, and what does each tell the person it happened to?

The tree::

    MeshlabError
     ├── ClusterError     ML1xx  the machine, the daemon, a kubeconfig, the Kubernetes API
     ├── PolicyError      ML2xx  YAML, SMI and OSM objects
     ├── DataPlaneError   ML3xx  Envoy, xDS
     ├── IdentityError    ML4xx  certificates, trust domains
     └── LabError         ML5xx  notebooks, widgets, lessons

Every error carries a code, what happened, to which object, and what to do next. The long form of each
code is in ``codes.toml`` beside this file; ``meshlab errors CODE`` prints it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


class MeshlabError(Exception):
    """What happened, to which object, and what to do next.

    ``code`` is a key of ``codes.toml``; ``about`` names the object (``TrafficSplit bookstore/bookstore``,
    ``lab default``); ``hint`` is one sentence or command that a person can act on.
    """

    def __init__(self, code: str, what: str, *, about: str = "", hint: str = "") -> None:
        self.code = code
        self.what = what
        self.about = about
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        subject = f"{self.code} {self.about}: " if self.about else f"{self.code} "
        hint = f"\nHint: {self.hint}" if self.hint else ""
        return f"{subject}{self.what}{hint}"

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of a traceback: the message is the interface."""
        return [str(self), *getattr(self, "__notes__", ()), f"More: meshlab errors {self.code}"]


class ClusterError(MeshlabError):
    """The machine, the daemon, a kubeconfig or the Kubernetes API is not as needed."""


class PolicyError(MeshlabError):
    """What a person said in YAML can't be taken."""


class DataPlaneError(MeshlabError):
    """A proxy, or the way to it, is not as needed."""


class IdentityError(MeshlabError):
    """A certificate or key can't be issued, read or trusted."""


class LabError(MeshlabError):
    """The lab can't do what a notebook asked for."""


@dataclass(frozen=True, slots=True)
class Code:
    """One row of ``codes.toml``: what the code means, why it happens, and the cure."""

    code: str
    title: str
    why: str
    cure: str


@cache
def codes() -> dict[str, Code]:
    """Every error and finding code, by name, in the order of the file."""
    table = tomllib.loads(files("meshlab").joinpath("codes.toml").read_text())
    return {code: Code(code, **row) for code, row in table.items()}
