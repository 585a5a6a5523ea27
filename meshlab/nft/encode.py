"""How does a table become the kernel's expressions? Each match compares a register; each verdict ends the rule."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Address, IPv4Network

from meshlab.nft.model import (
    Accept,
    Chain,
    Destination,
    DestinationPort,
    Dnat,
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
)
from meshlab.nft.netlink import (
    APPEND,
    CHAIN_NAME,
    CHAIN_OF_RULE,
    CREATE,
    DELETE_TABLE,
    NEW_CHAIN,
    NEW_RULE,
    NEW_TABLE,
    Message,
    attribute,
    batch,
    nested,
    number,
    text,
)

_PLACES = {"prerouting": 0, "input": 1, "output": 3, "postrouting": 4}
_PROTOCOLS = {"tcp": 6, "udp": 17}
_VERDICT_REGISTER, _FIRST, _SECOND = 0, 1, 2
_ACCEPT, _JUMP, _RETURN = 1, -3, -5
_META_MARK, _META_IIFNAME, _META_OIFNAME, _META_SKUID, _META_L4PROTO = 3, 6, 7, 10, 16
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_SOURCE_ADDRESS, _DESTINATION_ADDRESS, _SOURCE_PORT, _DESTINATION_PORT = 12, 16, 0, 2
_EQUAL, _NOT_EQUAL = 0, 1
_DNAT, _INET = 1, 2
_RANDOM, _JENKINS, _SEED = 1, 0, 1
_UNREACHABLE, _RESET, _PORT_UNREACHABLE = 0, 1, 3
_INTERFACE_NAME = 16


def encode(table: Table) -> bytes:
    """A batch that puts a table in the place of the one with its name, if there is one."""
    name = text(1, table.name)
    begin = (
        Message(NEW_TABLE, CREATE, name),  # so that there is one to delete
        Message(DELETE_TABLE, 0, name),
        Message(NEW_TABLE, CREATE, name),
    )
    chains = (Message(NEW_CHAIN, CREATE, name + _chain(chain)) for chain in table.chains)
    rules = (
        Message(NEW_RULE, CREATE | APPEND, name + text(CHAIN_OF_RULE, chain.name) + nested(4, *expressions))
        for chain in table.chains
        for rule in chain.rules
        for expressions in _rules(rule)
    )
    return batch([*begin, *chains, *rules])


def _chain(chain: Chain) -> bytes:
    name = text(CHAIN_NAME, chain.name)
    if chain.hook is None:
        return name
    hook = nested(4, number(1, _PLACES[chain.hook.place]), number(2, chain.hook.priority))
    return name + hook + text(7, chain.hook.type)


def _rules(rule: Rule) -> Iterator[list[bytes]]:
    """The expressions of one rule; for a choice among n targets n rules, each taking its part of what is left."""
    matches = [part for match in rule.matches for part in _match(match)]
    if not isinstance(rule.verdict, Dnat):
        yield [*matches, *_verdict(rule.verdict)]
        return
    targets = rule.verdict.targets
    for index, (address, port) in enumerate(targets):
        chosen: list[bytes] = []
        if rule.verdict.by_source and len(targets) > 1:
            chosen = _one_in(len(targets), index, by_source=True)
        elif index < len(targets) - 1:
            chosen = _one_in(len(targets) - index, 0, by_source=False)
        yield [*matches, *chosen, *_dnat(address, port)]


@cache
def _match(match: Match) -> tuple[bytes, ...]:
    match match:
        case Protocol(name):
            read, value = [_meta(_META_L4PROTO)], bytes([_PROTOCOLS[name]])
        case SourcePort(port):
            read, value = [_payload(_TRANSPORT_HEADER, _SOURCE_PORT, 2)], _port(port)
        case DestinationPort(port):
            read, value = [_payload(_TRANSPORT_HEADER, _DESTINATION_PORT, 2)], _port(port)
        case Source(prefix):
            read, value = _network(_SOURCE_ADDRESS, IPv4Network(prefix))
        case Destination(prefix):
            read, value = _network(_DESTINATION_ADDRESS, IPv4Network(prefix))
        case InputInterface(name):
            read, value = [_meta(_META_IIFNAME)], _interface(name)
        case OutputInterface(name):
            read, value = [_meta(_META_OIFNAME)], _interface(name)
        case Mark(mark):
            read, value = [_meta(_META_MARK)], _native(mark)
        case User(uid):
            read, value = [_meta(_META_SKUID)], _native(uid)
    return *read, _compare(value, negated=match.negated)


def _verdict(verdict: Accept | Return | Jump | Redirect | Masquerade | Reject) -> tuple[bytes, ...]:
    match verdict:
        case Accept():
            return (_decide(_ACCEPT),)
        case Return():
            return (_decide(_RETURN),)
        case Jump(chain):
            return (_decide(_JUMP, text(2, chain)),)
        case Redirect(port):
            return _load(_FIRST, _port(port)), _expression("redir", number(1, _FIRST))
        case Masquerade():
            return (_expression("masq"),)
        case Reject(tcp_reset):
            code = attribute(2, bytes([_PORT_UNREACHABLE]))
            return (_expression("reject", number(1, _RESET if tcp_reset else _UNREACHABLE), code),)


@cache
def _dnat(address: str, port: int) -> tuple[bytes, ...]:
    target = number(1, _DNAT) + number(2, _INET) + number(3, _FIRST) + number(5, _SECOND)
    return _load(_FIRST, IPv4Address(address).packed), _load(_SECOND, _port(port)), _expression("nat", target)


def _one_in(count: int, wanted: int, *, by_source: bool) -> list[bytes]:
    if by_source:
        take = _payload(_NETWORK_HEADER, _SOURCE_ADDRESS, 4)
        parts = number(4, count) + number(5, _SEED) + number(7, _JENKINS)
        hashed = _expression("hash", number(1, _FIRST), number(2, _SECOND), number(3, 4), parts)
        return [take, hashed, _compare(_native(wanted), _SECOND)]
    chance = _expression("numgen", number(1, _FIRST), number(2, count), number(3, _RANDOM))
    return [chance, _compare(_native(wanted))]


def _network(offset: int, network: IPv4Network) -> tuple[list[bytes], bytes]:
    """How to read the part of an address that names its network, and what it has to be."""
    mask = nested(4, attribute(1, network.netmask.packed)) + nested(5, attribute(1, bytes(4)))
    masked = _expression("bitwise", number(1, _FIRST), number(2, _FIRST), number(3, 4), mask)
    whole = network.prefixlen == network.max_prefixlen
    return [_payload(_NETWORK_HEADER, offset, 4), *([] if whole else [masked])], network.network_address.packed


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *attributes))


def _meta(key: int) -> bytes:
    return _expression("meta", number(2, key), number(1, _FIRST))


def _payload(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", number(1, _FIRST), number(2, base), number(3, offset), number(4, length))


def _compare(value: bytes, register: int = _FIRST, *, negated: bool = False) -> bytes:
    relation = _NOT_EQUAL if negated else _EQUAL
    return _expression("cmp", number(1, register), number(2, relation), nested(3, attribute(1, value)))


def _load(register: int, value: bytes) -> bytes:
    return _expression("immediate", number(1, register), nested(2, attribute(1, value)))


def _decide(code: int, chain: bytes = b"") -> bytes:
    return _expression("immediate", number(1, _VERDICT_REGISTER), nested(2, nested(2, number(1, code), chain)))


def _port(port: int) -> bytes:
    return struct.pack(">H", port)


def _native(value: int) -> bytes:
    return struct.pack("=I", value)


def _interface(name: str) -> bytes:
    return name.encode().ljust(_INTERFACE_NAME, b"\0")
