"""What may a rule say? Tables of chains of rules, for IPv4: matches that all have to fit, and one verdict.

The words are those of nftables, and mean the same there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Protocol:
    """Only packets of this protocol."""

    name: Literal["tcp", "udp"]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class SourcePort:
    """Where it comes from. Only after a match of the protocol."""

    number: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class DestinationPort:
    """Where it goes. Only after a match of the protocol."""

    number: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """An address or a range of them, such as ``10.0.0.0/8``."""

    prefix: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """An address or a range of them, such as ``10.0.0.0/8``."""

    prefix: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InputInterface:
    """The interface it came by, as far as that is known: not in a chain of what leaves."""

    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class OutputInterface:
    """The interface it is to leave by."""

    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark that its socket was given (SO_MARK); 0 if none."""

    value: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """The user that opened its socket."""

    uid: int
    negated: bool = False


Match = Protocol | SourcePort | DestinationPort | Source | Destination | InputInterface | OutputInterface | Mark | User


@dataclass(frozen=True, slots=True)
class Accept:
    """Let it pass; no further rule of this chain is asked."""


@dataclass(frozen=True, slots=True)
class Return:
    """Go on in the chain that this one was reached from."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on in another chain of the table, and come back from its end."""

    chain: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """Bring the connection to a port of this machine itself."""

    port: int


@dataclass(frozen=True, slots=True)
class Dnat:
    """Bring the connection to one of these addresses and ports: by chance, or always to the same for one source."""

    targets: tuple[tuple[str, int], ...]
    by_source: bool = False


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Let the connection come from the address of the interface it leaves by."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse it at once, so that the caller need not wait: a TCP reset, or ICMP port unreachable."""

    tcp_reset: bool = False


Verdict = Accept | Return | Jump | Redirect | Dnat | Masquerade | Reject


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done with packets that every match fits."""

    verdict: Verdict
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Hook:
    """Where packets enter a chain. A nat chain is asked once per connection, of its first packet.

    Of the chains at one place the one with the least priority is asked first. Once a nat chain has decided on a
    connection, no later one is asked.
    """

    type: Literal["nat", "filter"]
    place: Literal["prerouting", "input", "output", "postrouting"]
    priority: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules, asked in order. Without a hook it is reached only by jumps."""

    name: str
    rules: tuple[Rule, ...] = ()
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Chains that are replaced together."""

    name: str
    chains: tuple[Chain, ...] = ()
