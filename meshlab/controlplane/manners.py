"""Which proxies don't behave as proxies do? One that never answers, or never stops asking, is served no worse and
no better than it lets itself be; the others notice nothing, and a person is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshlab.mesh.finding import Finding, Severity
from meshlab.xds import AdsServer


def findings(ads: AdsServer) -> Iterator[Finding]:
    """What there is to say about connected proxies, now."""
    for node, seconds in sorted(ads.silent().items()):
        yield Finding(
            "ML370",
            f"proxy {node}",
            "acknowledgement",
            f"it has been told something {seconds:.0f} s ago, is connected, and does not answer",
            "look at the log of its sidecar; restart the pod if it hangs",
            Severity.WARNING,
        )
    for node in ads.slowed():
        yield Finding(
            "ML371",
            f"proxy {node}",
            "requests",
            "it asks more often than proxies do, and is made to wait",
            "look at what runs in its sidecar; a restart of the pod ends it",
            Severity.WARNING,
        )
