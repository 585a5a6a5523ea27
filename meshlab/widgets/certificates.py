"""Who is who, and is it proven? The identities of the proxies, and mTLS on each edge as the proxies reported it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import traitlets

from meshlab.widgets.base import LabWidget, script, style


class CertificatesWidget(LabWidget):
    """Two tables: each proxy's certificate with the time it is valid, and each edge with its share of mTLS.

    `show` puts in the control plane's answers.
    """

    _esm = script("certificates")
    _css = style("certificates")

    state = traitlets.Dict({"proxies": [], "edges": [], "window": 30, "error": ""}).tag(sync=True)

    def show(self, **changes: Any) -> None:
        """Put in what changed: `proxies`, `edges`, `window`, or the `error` for which they can't be read."""
        self.state = {**self.state, **changes}

    def text(self) -> str:
        """Both tables as lines."""
        return "\n".join(
            [
                "Identities:",
                *_lines([_certificate(row) for row in self.state["proxies"]]),
                f"Edges of the last {self.state['window']:g} s:",
                *_lines([_edge(row) for row in self.state["edges"]]),
            ]
        )


def _lines(rows: Sequence[str]) -> list[str]:
    return [f"  {row}" for row in rows] or ["  none yet"]


def _certificate(row: Mapping[str, Any]) -> str:
    certificate = row["certificate"]
    if not certificate:
        return f"{row['proxy']}: no certificate yet"
    until = datetime.fromtimestamp(certificate["not_after"], UTC)
    return f"{row['proxy']}: {row['identity']}, valid until {until:%Y-%m-%d %H:%M} UTC"


def _edge(row: Mapping[str, Any]) -> str:
    unproven = row["requests"] - row["mtls"] - row["failures"]
    failed = f", {row['failures']} failed" if row["failures"] else ""
    how = f"{unproven} in plain text" if unproven > 0 else f"mTLS ({row['tls']}){failed}"
    source = row["source"] or "nobody proven"
    return f"{source} → {row['destination'] or 'nobody proven'}: {row['requests']} requests, {how}"
