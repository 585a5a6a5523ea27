"""WHAT the kernel does with packets: its nftables, told without another program. Knows neither clusters nor meshes."""

from __future__ import annotations

from meshlab.nft.encode import encode
from meshlab.nft.model import (
    Accept,
    Chain,
    Destination,
    DestinationPort,
    Dnat,
    Hook,
    InputInterface,
    Jump,
    Mark,
    Masquerade,
    Match,
    OutputInterface,
    Protocol,
    Redirect,
    Reject,
    Return,
    Rule,
    Source,
    SourcePort,
    Table,
    User,
    Verdict,
)
from meshlab.nft.netlink import WAY, apply

__all__ = [
    "WAY",
    "Accept",
    "Chain",
    "Destination",
    "DestinationPort",
    "Dnat",
    "Hook",
    "InputInterface",
    "Jump",
    "Mark",
    "Masquerade",
    "Match",
    "OutputInterface",
    "Protocol",
    "Redirect",
    "Reject",
    "Return",
    "Rule",
    "Source",
    "SourcePort",
    "Table",
    "User",
    "Verdict",
    "apply",
    "encode",
]
