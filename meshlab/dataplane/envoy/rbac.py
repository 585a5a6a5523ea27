"""Who may come in, and what may they ask for? Permissions as Envoy's role-based access control.

Several permissions are a union (SMI A2): each becomes a policy of its own under its own name, so that the
access log says which one let a request in. Ports are settled here and not by Envoy, because where nothing
redirects every connection arrives at one port.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac
from envoy.type.matcher.v3.path_pb2 import PathMatcher
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.secrets import anybody_of
from meshlab.mesh.rules import HttpMatch
from meshlab.mesh.rules import Permission as MeshPermission

_AUTHORITY_HEADERS = {"host", ":authority"}


def http_rules(permissions: tuple[MeshPermission, ...] | None, port: int, trust_domain: str) -> http_rbac.RBACPerRoute:
    """The rules of one HTTP port. None (permissive mode) lets in whoever has proven an identity."""
    if permissions is None:
        principals = [
            Principal(authenticated=Principal.Authenticated(principal_name=matcher))
            for matcher in anybody_of(trust_domain)
        ]
        policies = {names.PERMISSIVE: Policy(permissions=[Permission(any=True)], principals=principals)}
    else:
        policies = {
            permission.policy: Policy(permissions=asked, principals=_principals(permission, trust_domain))
            for permission in permissions
            if permission.sources and _admits_port(permission, port) and (asked := _requests(permission))
        }
    return http_rbac.RBACPerRoute(rbac=http_rbac.RBAC(rules=RBAC(action=RBAC.ALLOW, policies=policies)))


def deny_all() -> http_rbac.RBAC:
    """What holds where no rules have arrived: nobody may come in."""
    return http_rbac.RBAC(rules=RBAC(action=RBAC.ALLOW))


def tcp_sources(permissions: tuple[MeshPermission, ...] | None, port: int, trust_domain: str) -> list[StringMatcher]:
    """Who may open a connection to a TCP port; the TLS handshake itself refuses everybody else.

    A permission with HTTP rules asks for something that plain bytes can't show, so it opens no TCP port.
    """
    if permissions is None:
        return anybody_of(trust_domain)
    allowed = {
        source.spiffe_id(trust_domain)
        for permission in permissions
        if _admits_port(permission, port) and not permission.http_rules
        for source in permission.sources
    }
    return [StringMatcher(exact=uri) for uri in sorted(allowed)]


def header_matchers(match: HttpMatch) -> list[HeaderMatcher]:
    """The method and header conditions of a match, all of which must hold."""
    matchers = []
    if match.methods:
        matchers.append(_header(":method", "|".join(sorted(match.methods))))
    for name, regex in match.headers:
        matchers.append(_header(":authority" if name in _AUTHORITY_HEADERS else name, regex))
    return matchers


def _header(name: str, regex: str) -> HeaderMatcher:
    return HeaderMatcher(name=name, string_match=StringMatcher(safe_regex=RegexMatcher(regex=regex)))


def _admits_port(permission: MeshPermission, port: int) -> bool:
    if permission.udp_only:
        return False
    rules = permission.tcp_rules
    return not rules or any(not rule.dangling and (not rule.ports or port in rule.ports) for rule in rules)


def _requests(permission: MeshPermission) -> list[Permission]:
    if not permission.http_rules:
        return [Permission(any=True)]
    return [request(match) for rule in permission.http_rules for match in rule.matches]


def request(match: HttpMatch) -> Permission:
    """The requests that satisfy a match."""
    conditions = [Permission(header=matcher) for matcher in header_matchers(match)]
    if match.path_regex is not None:
        path = PathMatcher(path=StringMatcher(safe_regex=RegexMatcher(regex=match.path_regex)))
        conditions.append(Permission(url_path=path))
    return Permission(and_rules=Permission.Set(rules=conditions)) if conditions else Permission(any=True)


def _principals(permission: MeshPermission, trust_domain: str) -> Iterable[Principal]:
    for source in sorted(permission.sources):
        uri = StringMatcher(exact=source.spiffe_id(trust_domain))
        yield Principal(authenticated=Principal.Authenticated(principal_name=uri))
