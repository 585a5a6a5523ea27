"""What Egress, IngressBackend and Ingress state, and what is wrong with them."""

from __future__ import annotations

import pytest

from meshlab.kube import load
from meshlab.mesh.egress import EgressPort, EgressProtocol
from meshlab.mesh.finding import Severity
from meshlab.mesh.identity import Identity
from meshlab.mesh.service import ServiceName
from meshlab.policy.ingress import Ingresses
from meshlab.policy.osm import Osm

EGRESS = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: out, namespace: shop}
spec:
  sources: [{kind: ServiceAccount, name: till, namespace: shop}]
  hosts: [Books.Example, "*.cdn.example"]
  ipAddresses: [10.1.2.3/8]
  ports: [{number: 80, protocol: HTTP}, {number: 443, protocol: https}]
"""
BACKEND = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: IngressBackend
metadata: {name: in, namespace: shop}
spec:
  backends: [{name: till, port: {number: 8080, protocol: http}}]
  sources: [{kind: Service, name: door, namespace: edge}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: till, namespace: shop}
spec: {ports: [{name: web, port: 80, targetPort: 8080}]}
"""
DOOR = """
apiVersion: v1
kind: Service
metadata: {name: door, namespace: edge}
spec: {ports: [{port: 80}]}
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: in, namespace: shop}
spec:
  ingressClassName: meshlab
  defaultBackend: {service: {name: till, port: {number: 80}}}
  rules:
  - host: Shop.Example
    http:
      paths:
      - {path: /buy, pathType: Exact, backend: {service: {name: till, port: {name: web}}}}
"""


def one(text):
    (obj,) = load(text)
    return obj


def found(text, *others, language=Osm):
    """Code and field of each finding about an object, errors first."""
    findings = language().validate(one(text), [one(other) for other in others])
    return [(f.code, f.field) for f in sorted(findings, key=lambda f: f.severity is not Severity.ERROR)]


def test_an_egress_states_who_may_call_what():
    (rule,) = Osm().read([one(EGRESS)]).egress_rules
    assert rule.sources == {Identity("shop", "till")}
    assert rule.hosts == ("books.example", "*.cdn.example")
    assert rule.ranges == ("10.0.0.0/8",)
    assert rule.ports == (EgressPort(80, EgressProtocol.HTTP), EgressPort(443, EgressProtocol.HTTPS))
    assert rule.matches is None


@pytest.mark.parametrize(
    ("old", "new", "code", "field"),
    [
        ("protocol: HTTP", "protocol: ftp", "ML330", "spec.ports[0].protocol"),
        ('hosts: [Books.Example, "*.cdn.example"]', "", "ML331", "spec.hosts"),
        ("Books.Example", "https://books", "ML332", "spec.hosts[0]"),
        ("Books.Example", '"*"', "ML332", "spec.hosts[0]"),
        ("10.1.2.3/8", "10.1.2.3", "ML333", "spec.ipAddresses[0]"),
        ("[{number: 80, protocol: HTTP}, {number: 443, protocol: https}]", "[]", "ML210", "spec.ports"),
        (
            "[{number: 80, protocol: HTTP}, {number: 443, protocol: https}]",
            "[{number: 9, protocol: tcp}]",
            "ML334",
            "spec.hosts",
        ),
    ],
)
def test_an_egress_that_means_nothing_is_told_so(old, new, code, field):
    assert old in EGRESS
    assert found(EGRESS.replace(old, new)) == [(code, field)]


def test_an_egress_admits_the_matches_it_names_and_nothing_while_they_are_absent():
    named = EGRESS + "  matches: [{kind: HTTPRouteGroup, name: reads}]\n"
    group = """
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: reads, namespace: shop}
spec: {matches: [{name: read, methods: [GET]}]}
"""
    assert found(named) == [("ML226", "spec.matches[0].name")]
    assert Osm().read([one(named)]).egress_rules[0].matches == ()
    (match,) = Osm().read([one(named), one(group)]).egress_rules[0].matches
    assert match.methods == {"GET"}


def test_an_egress_names_one_setting_for_what_leaves():
    named = EGRESS + "  matches: [{kind: UpstreamTrafficSetting, name: few}]\n"
    (rule,) = Osm().read([one(named)]).egress_rules
    assert (rule.setting, rule.matches) == ("shop/few", None)
    twice = named.replace("few}]", "few}, {kind: UpstreamTrafficSetting, name: more}]")
    assert found(twice) == [("ML335", "spec.matches")]


def test_an_ingress_backend_states_who_may_come_in():
    wide = BACKEND + "  - {kind: AuthenticatedPrincipal, name: nginx.edge.cluster.local}\n"
    wide = wide.replace("sources: [{", "sources:\n  - {").replace("namespace: edge}]", "namespace: edge}")
    facts = Osm().read([one(wide), one(SERVICE), one(DOOR)])
    (rule,) = facts.ingress_rules
    assert (rule.service, rule.port) == (ServiceName("shop", "till"), 8080)
    assert rule.services == (ServiceName("edge", "door"),)
    assert rule.principals == ("spiffe://cluster.local/ns/edge/sa/nginx",)
    assert facts.findings == ()


SOURCES = "[{kind: Service, name: door, namespace: edge}]"
ASKING = "[{kind: AuthenticatedPrincipal, name: nginx.edge.cluster.local}]"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("number: 8080", "number: 80")], [("ML345", "spec.backends[0].port.number")]),
        ([("name: till", "name: gone")], [("ML345", "spec.backends[0].name")]),
        ([("protocol: http", "protocol: tcp")], [("ML342", "spec.backends[0].port.protocol")]),
        ([("protocol: http", "protocol: https")], [("ML343", "spec.backends[0].tls")]),
        ([("protocol: http", "protocol: https"), (SOURCES, ASKING)], []),
        ([(SOURCES, ASKING)], [("ML344", "spec.backends[0].port.protocol")]),
        ([(", namespace: edge}", "}")], [("ML347", "spec.sources[0].namespace")]),
        ([("name: door", "name: gone")], [("ML345", "spec.sources[0].name")]),
        ([(SOURCES, "[{kind: IPRange, name: 10.0.0.1}]")], [("ML333", "spec.sources[0].name")]),
        (
            [("protocol: http", "protocol: https"), (SOURCES, "[{kind: AuthenticatedPrincipal, name: nginx}]")],
            [("ML346", "spec.sources[0].name")],
        ),
        ([("protocol: http}}]", "protocol: http}}, {name: till, port: {number: 8080, protocol: http}}]")], "ML340"),
    ],
)
def test_an_ingress_backend_that_nobody_could_use_is_told_so(changes, expected):
    text = BACKEND
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    codes = found(text, SERVICE, DOOR)
    assert (codes == expected) if isinstance(expected, list) else [code for code, _ in codes] == [expected]


def test_of_two_ingress_backends_for_one_port_the_older_counts():
    first = BACKEND.replace("name: in,", "name: first, creationTimestamp: '2026-01-01T00:00:00Z',")
    assert found(BACKEND, first, SERVICE, DOOR) == [("ML341", "spec.backends[0]")]
    facts = Osm().read([one(BACKEND), one(first), one(SERVICE), one(DOOR)])
    assert [rule.name for rule in facts.ingress_rules] == ["shop/first"]


def test_an_ingress_states_what_the_gateway_sends_where():
    routes = Ingresses().read([one(INGRESS), one(SERVICE)]).gateway_routes
    assert [(route.host, route.path, route.exact, route.port) for route in routes] == [
        ("", "/", False, 80),
        ("shop.example", "/buy", True, 80),
    ]


def test_an_ingress_of_another_class_is_not_ours():
    other = one(INGRESS.replace("ingressClassName: meshlab", "ingressClassName: nginx"))
    assert Ingresses().read([other]) == Ingresses().read([])
    assert Ingresses().validate(other, []) == []


def test_an_ingress_that_leads_nowhere_or_brings_a_certificate_is_told_so():
    gone = INGRESS.replace("name: till, port: {name: web}", "name: till, port: {name: gone}")
    assert found(gone, SERVICE, language=Ingresses) == [("ML361", "spec.rules[0].http.paths[0].backend.service")]
    certificate = INGRESS + "  tls: [{hosts: [shop.example], secretName: mine}]\n"
    assert found(certificate, SERVICE, language=Ingresses) == [("ML362", "spec.tls[0].secretName")]
    bucket = INGRESS.replace(
        "defaultBackend: {service: {name: till, port: {number: 80}}}", "defaultBackend: {resource: {}}"
    )
    assert found(bucket, SERVICE, language=Ingresses) == [("ML360", "spec.defaultBackend.backend")]
