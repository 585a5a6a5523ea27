"""What does the cluster answer to a question? Pure: a query and the records in, a response out.

A name that is not there gets NXDOMAIN, one that is there without a record of the type asked for an empty answer:
resolvers go on with their search list after the one, and some of them (musl's) not after the other.
"""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.message import Message, QueryMessage

from meshlab.cluster.embedded.node.dns.records import DOMAIN, Records

TTL = 5
"""Seconds that an answer may be remembered: Services of a lab come and go."""
_LONGEST_CHAIN = 8
_LARGEST_DATAGRAM = 1232
_SMALLEST_DATAGRAM = 512
_REVERSE = ".in-addr.arpa."


def answer(query: Message, records: Records) -> tuple[Message, str]:
    """The response, and the name outside of the cluster that it depends on; empty if it is whole.

    That name is the one asked for, or the one that an ExternalName Service leads to.
    """
    response = dns.message.make_response(query, recursion_available=True, our_payload=_LARGEST_DATAGRAM)
    if (problem := _problem(query)) is not None:
        response.set_rcode(problem)
        return response, ""
    [question] = query.question
    name = question.name.canonicalize().to_text()
    for _ in range(_LONGEST_CHAIN):
        known = records.get(name)
        if known is None:
            if not _is_ours(name):
                return response, name
            response.set_rcode(dns.rcode.NXDOMAIN)
            break
        asker = question.name if name == question.name.canonicalize().to_text() else dns.name.from_text(name)
        kinds = list(known) if question.rdtype == dns.rdatatype.ANY else [dns.rdatatype.to_text(question.rdtype)]
        if "CNAME" in known and "CNAME" not in kinds:
            response.answer.append(_set(asker, "CNAME", known["CNAME"]))
            name = known["CNAME"][0].lower()
            continue
        response.answer.extend(_set(asker, kind, known[kind]) for kind in kinds if kind in known)
        response.additional.extend(_addresses(known.get("SRV", ()) if "SRV" in kinds else (), records))
        break
    if not response.answer or response.rcode() != dns.rcode.NOERROR:
        response.authority.append(_set(dns.name.from_text(DOMAIN), "SOA", records[DOMAIN]["SOA"]))
    response.flags |= dns.flags.AA
    return response, ""


def to_datagram(query: Message, response: Message) -> bytes:
    """A response that fits where the query came from; cut off, so that it is asked again over TCP, if it does not."""
    offered = query.payload if query.edns >= 0 else 0
    try:
        return response.to_wire(max_size=max(_SMALLEST_DATAGRAM, min(offered, _LARGEST_DATAGRAM)))
    except dns.exception.TooBig:
        cut = dns.message.make_response(query, recursion_available=True, our_payload=_LARGEST_DATAGRAM)
        cut.flags |= dns.flags.TC | (response.flags & dns.flags.AA)
        return cut.to_wire()


def _problem(query: Message) -> dns.rcode.Rcode | None:
    if query.opcode() != dns.opcode.QUERY or not isinstance(query, QueryMessage):
        return dns.rcode.NOTIMP
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    if query.edns > 0:
        return dns.rcode.BADVERS
    if query.question[0].rdclass not in (dns.rdataclass.IN, dns.rdataclass.ANY):
        return dns.rcode.REFUSED
    return None


def _is_ours(name: str) -> bool:
    return name == DOMAIN or name.endswith(f".{DOMAIN}")


def _set(name: dns.name.Name, kind: str, texts: tuple[str, ...]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, TTL, "IN", kind, texts)


def _addresses(services: tuple[str, ...], records: Records) -> list[dns.rrset.RRset]:
    """The addresses of those that SRV records name, so that nobody has to ask again."""
    targets = dict.fromkeys(text.rsplit(" ", 1)[1] for text in services)
    return [
        _set(dns.name.from_text(target), "A", known["A"])
        for target in targets
        if "A" in (known := records.get(target, {}))
    ]
