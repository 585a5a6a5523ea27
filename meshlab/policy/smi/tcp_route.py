"""TCPRoute: which ports?"""

from __future__ import annotations

from meshlab.kube import Object
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape


def read(obj: Object) -> tuple[int, ...]:
    """The ports of a sound route; none means every port (SMI A12)."""
    return tuple(sorted(obj["spec"]["matches"]["ports"]))


def validate(obj: Object, report: Report) -> None:
    """The ports exist."""
    if check_shape(obj, "tcp-route", report):
        check_ports(obj, report)


def check_ports(obj: Object, report: Report) -> None:
    """Report ports outside 1 to 65535 (ML240)."""
    for index, port in enumerate(obj["spec"]["matches"]["ports"]):
        if not 1 <= port <= 65535:
            report.error("ML240", f"spec.matches.ports[{index}]", f"{port} is no port", "write 1 to 65535")
