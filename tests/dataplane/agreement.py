"""A mesh of real Envoys that is asked what `decide` was asked."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import situations as drawn
from loopback_mesh import Answer, Mesh, call_on
from situations import CALLERS, FIRST, SECOND, Situation

from meshlab.dataplane.envoy import names
from meshlab.mesh.call import Arrival, Call, arrivals
from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Aspect, Decision, Miss, Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.remedy import NewPermission, remedies
from meshlab.mesh.rules import HttpRule, Permission, TcpRule
from meshlab.mesh.service import ServiceName
from meshlab.mesh.view import Upstream
from meshlab.mesh.world import World

LEAF = {FIRST: drawn.V1, SECOND: drawn.V2}
"""The Service that leads to one identity and no other."""
PODS = {drawn.V1: {"bookstore-v1": FIRST}, drawn.V2: {"bookstore-v2": SECOND}}
PODS[drawn.ROOT] = PODS[drawn.V1] | PODS[drawn.V2]
CURED_EACH = 2
"""How many refusals of a situation are cured."""

Lines = dict[Identity, tuple[asyncio.StreamReader, asyncio.StreamWriter]]


@dataclass
class Shop:
    """Two versions of a bookstore that run as different identities, and three callers."""

    mesh: Mesh
    tls: dict[Identity | None, ssl.SSLContext]
    """What each caller's proxy shows and expects; None shows nothing."""
    asked: Counter[str]

    async def check(self, situation: Situation) -> None:
        """Ask everything. Raises AssertionError with both answers where they differ."""
        await self._tell(situation)
        world = self.mesh.world()
        refused: list[tuple[Call, Decision]] = []
        async with self._lines() as lines:
            for call in situation.calls:
                expected = arrivals(world, call)
                answer = await _ask(lines, call)
                assert any(_fits(arrival, answer) for arrival in expected), _both(call, expected, answer)
                self.asked["allowed" if answer.status == 200 else "refused"] += 1
                if len(expected) == 1 and expected[0].decision and not expected[0].allowed:
                    refused.append((call, expected[0].decision))
        for source in (*CALLERS, None):
            for destination in LEAF:
                await self._check_tcp(world, source, destination)
        for call, decision in refused[:CURED_EACH]:
            await self._cure(situation, call, decision)

    async def _tell(self, situation: Situation) -> None:
        self.mesh.permissive = situation.permissive
        self.mesh.permissions, self.mesh.splits = situation.permissions, situation.splits
        await self.mesh.push()

    async def _check_tcp(self, world: World, source: Identity | None, destination: Identity) -> None:
        """A connection to a port that carries plain TCP, made as the caller's proxy makes it."""
        decision = decide(world, Request(source, destination, drawn.TCP_TARGET, is_http=False))
        opened = await self._opens(source, LEAF[destination])
        assert opened == decision.allowed, f"{source} → {destination} over TCP: {opened}, but {decision}"
        self.asked["tcp allowed" if opened else "tcp refused"] += 1

    async def _opens(self, source: Identity | None, service: ServiceName) -> bool:
        (pod,) = PODS[service]
        sni = Upstream(service, drawn.TCP_PORT).sni
        address = self.mesh.pods[pod].address
        try:
            line = await asyncio.open_connection(address, names.INBOUND_PORT, ssl=self.tls[source], server_hostname=sni)
        except (ssl.SSLError, ConnectionError):
            return False
        try:
            return (await call_on(*line, "http://tcp/", close=True)).status == 200
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
            return False
        finally:
            line[1].close()

    async def _cure(self, situation: Situation, call: Call, decision: Decision) -> None:
        """Meet the conditions that a refusal names, by another call or else by another policy: now it passes."""
        nearest = decision.nearest
        assert nearest is None or nearest.misses, f"a refusal without a reason: {decision}"
        other = met(call, decision.request.destination, nearest.misses) if nearest else None
        policies = situation.permissions
        if other is None:
            *_, (edit,) = remedies(decision)
            assert isinstance(edit, NewPermission)
            other = straight(call, decision.request.destination)
            policies = (*policies, granted(edit))
            self.asked["cured by a policy"] += 1
        else:
            self.asked["cured by a request"] += 1
        await self._tell(replace(situation, permissions=policies, splits=()))
        async with self._lines() as lines:
            answer = await _ask(lines, other)
        assert answer.status == 200, f"{decision}\nconditions met by {other}, and still: {answer}"

    @asynccontextmanager
    async def _lines(self) -> AsyncIterator[Lines]:
        lines: Lines = {}
        for caller in CALLERS:
            pod = "bookstore-v1" if caller == FIRST else caller.service_account
            lines[caller] = await asyncio.open_connection(self.mesh.pods[pod].address, names.OUTBOUND_PORT)
        try:
            yield lines
        finally:
            for _, writer in lines.values():
                writer.close()


@asynccontextmanager
async def shop(mesh: Mesh) -> AsyncIterator[Shop]:
    """The shop, open."""
    mesh.more_ports = drawn.MORE_PORTS
    for client in (drawn.BUYER, drawn.THIEF):
        await mesh.pod(client.service_account, app=False)
    for service in (drawn.V1, drawn.V2):
        ((pod, identity),) = PODS[service].items()
        await mesh.pod(pod, str(identity))
    for name, pods in PODS.items():
        mesh.service(str(name), *pods)
    await mesh.push()
    tls = {identity: await _tls(mesh, identity) for identity in (*CALLERS, None)}
    yield Shop(mesh, tls, Counter())


async def _tls(mesh: Mesh, identity: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=(await mesh.ca.bundle()).decode())
    context.check_hostname = False  # the name in the certificate is a SPIFFE id
    context.set_alpn_protocols([names.ALPN])
    if identity is None:
        return context
    svid = mesh.svids[identity]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "svid.pem").write_bytes(svid.key + svid.chain)
        context.load_cert_chain(Path(folder) / "svid.pem")
    return context


async def _ask(lines: Lines, call: Call) -> Answer:
    assert call.source
    headers = {name: value for name, value in call.headers.items() if name != "host"}
    url = f"http://{call.headers['host']}{call.path}"
    return await call_on(*lines[call.source], url, method=call.method, headers=headers)


def _fits(arrival: Arrival, answer: Answer) -> bool:
    """Whether an answer is what was to be expected from one of the places a call may end up at."""
    if not arrival.allowed or answer.status != 200:
        return answer.status == 403 and not arrival.allowed
    assert arrival.decision
    pods = PODS[arrival.upstream.service]
    # an answer to HEAD has no body to tell the pod by
    return not answer.body or pods.get(answer.body) == arrival.decision.request.destination


def _both(call: Call, expected: tuple[Arrival, ...], answer: Answer) -> str:
    said = "\n".join(f"  {arrival.upstream}: {arrival.decision or arrival.obstacle}" for arrival in expected)
    return f"{call}\nEnvoy: {answer}\ndecide:\n{said}"


def met(call: Call, destination: Identity, misses: tuple[Miss, ...]) -> Call | None:
    """The call that meets these conditions, straight to the destination; None where no call can."""
    for miss in misses:
        changed = _meet(call, miss)
        if changed is None:
            return None
        call = changed
    return straight(call, destination)


def straight(call: Call, destination: Identity) -> Call:
    """The same call to the Service that leads to one identity and no other."""
    service = LEAF[destination]
    named = f"{service.name}.{service.namespace}:{call.port}"
    return replace(call, service=service, headers={**call.headers, "host": named})


def _meet(call: Call, miss: Miss) -> Call | None:
    wanted = miss.wanted
    match miss.aspect:
        case Aspect.SOURCE:
            return replace(call, source=next(who for who in CALLERS if str(who) in wanted.split(", ")))
        case Aspect.PORT:
            ports = [port for port, target in drawn.HTTP_PORTS.items() if str(target) in wanted.split(", ")]
            return replace(call, port=ports[0]) if ports else None
        case Aspect.METHOD:
            return replace(call, method=wanted.split(" or ")[0])
        case Aspect.PATH:
            path = drawn.path_for(wanted)
            return replace(call, path=path) if path else None
        case Aspect.HEADER if miss.header != ":authority":
            value = drawn.value_for(wanted)
            others = {name: had for name, had in call.headers.items() if name.lower() != miss.header}
            return replace(call, headers={**others, miss.header: value}) if value else None
    return None


def granted(edit: NewPermission) -> Permission:
    """The permission that a remedy asks for."""
    http = (HttpRule("bookstore/new", (edit.match,)),) if edit.match else ()
    tcp = () if edit.match else (TcpRule("bookstore/new", (edit.port,)),)
    return Permission(edit.name, edit.destination, frozenset({edit.source}), http, tcp)
