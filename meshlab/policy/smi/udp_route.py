"""UDPRoute: read as SMI has it, though UDP passes the mesh by."""

from __future__ import annotations

from meshlab.kube import Object
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape
from meshlab.policy.smi.tcp_route import check_ports


def validate(obj: Object, report: Report) -> None:
    """The ports exist, and the person knows that nothing enforces them."""
    if not check_shape(obj, "udp-route", report):
        return
    check_ports(obj, report)
    report.warning(
        "ML241", "kind", "UDP is not intercepted: it flows whether allowed or not", "guard it with a NetworkPolicy"
    )
