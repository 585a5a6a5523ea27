"""Which addresses are meant by `10.0.0.0/8`?"""

from __future__ import annotations

from ipaddress import ip_network

from meshlab.policy.report import Report


def range_of(text: str) -> str | None:
    """A range in CIDR notation as it is usually written; None when it is none."""
    if "/" not in text:
        return None
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return None


def check_range(text: str, field: str, report: Report) -> None:
    """Report what is no range of addresses (ML333)."""
    if range_of(text) is None:
        what = f"{text!r} is not a range of addresses"
        report.error("ML333", field, what, "write it as in 10.0.0.0/8, or 10.1.2.3/32 for a single address")
