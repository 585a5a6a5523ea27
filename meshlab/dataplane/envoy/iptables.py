"""How are the same rules written for iptables? It is on every machine that runs a real cluster."""

from __future__ import annotations

from meshlab.nft import (
    Destination,
    DestinationPort,
    InputInterface,
    Jump,
    Mark,
    Match,
    OutputInterface,
    Protocol,
    Redirect,
    Return,
    Rule,
    Table,
    User,
    Verdict,
)


def for_restore(table: Table) -> str:
    """Input for one `iptables-restore --noflush`: all rules are there, or none.

    Chains with a hook have to be named as iptables' own are: PREROUTING, OUTPUT.
    """
    new = [f":{chain.name} - [0:0]" for chain in table.chains if chain.hook is None]
    rules = [f"-A {chain.name} {_rule(rule)}" for chain in table.chains for rule in chain.rules]
    return "\n".join(["*nat", *new, *rules, "COMMIT"]) + "\n"


def _rule(rule: Rule) -> str:
    return " ".join([*map(_match, rule.matches), _verdict(rule.verdict)])


def _match(match: Match) -> str:
    extension, option, value = _option(match)
    return f"{extension}{'! ' if match.negated else ''}{option} {value}"


def _option(match: Match) -> tuple[str, str, str | int]:
    found: tuple[str, str, str | int]
    match match:
        case Protocol(name):
            found = "", "-p", name
        case DestinationPort(port):
            found = "", "--dport", port
        case Destination(prefix):
            found = "", "-d", prefix
        case InputInterface(name):
            found = "", "-i", name
        case OutputInterface(name):
            found = "", "-o", name
        case User(uid):
            found = "-m owner ", "--uid-owner", uid
        case Mark(value):
            found = "-m mark ", "--mark", value
        case _:
            raise TypeError(f"no rule of a pod's has {match}")
    return found


def _verdict(verdict: Verdict) -> str:
    match verdict:
        case Return():
            return "-j RETURN"
        case Jump(chain):
            return f"-j {chain}"
        case Redirect(port):
            return f"-j REDIRECT --to-ports {port}"
        case _:
            raise TypeError(f"no rule of a pod's ends in {verdict}")
