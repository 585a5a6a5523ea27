"""How does a lab introduce itself? Where it runs, in which mode, and whether all is well."""

from __future__ import annotations

from html import escape

from meshlab.lab.status import Status

_NETWORKS = {
    "loopback": "loopback (cooperative: an app that ignores http_proxy goes around its sidecar)",
    "namespaces": "namespaces (pods' networks are their own; the kernel brings every TCP connection of a meshed pod "
    "to its sidecar)",
    "redirect": "redirect (the kernel brings every TCP connection of a meshed pod to its sidecar)",
}
_MODES = {
    "permissive": "permissive (every meshed workload may call every other; mTLS is on)",
    "strict": "strict (only what a TrafficTarget allows; mTLS is on)",
}


def text(found: Status) -> str:
    """Line by line, for a terminal."""
    return "\n".join(f"{name:<14} {value}" for name, value in _rows(found))


def html(found: Status) -> str:
    """A table, for a notebook."""
    left = "style='text-align:left'"
    cells = "".join(
        f"<tr><th scope='row' {left}>{escape(name)}</th><td {left}>{escape(value)}</td></tr>"
        for name, value in _rows(found)
    )
    return f"<table>{cells}</table>"


def _rows(found: Status) -> list[tuple[str, str]]:
    rows = [
        ("lab", found.name),
        ("cluster", found.cluster),
        ("network", _NETWORKS.get(found.network, found.network)),
        ("mode", _MODES.get(found.mode, found.mode)),
        ("kubeconfig", found.kubeconfig or "none: the lab is down"),
    ]
    return rows + [(name, f"{'✓' if part.ok else '✗'} {part.detail}") for name, part in found.health.items()]
