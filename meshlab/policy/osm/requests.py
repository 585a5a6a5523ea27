"""Which requests does a list of references to HTTPRouteGroups mean?"""

from __future__ import annotations

from meshlab.kube import Object
from meshlab.mesh.rules import HttpMatch
from meshlab.policy.objects import Objects, namespace_of
from meshlab.policy.report import Report
from meshlab.policy.smi.routes import Routes

_GROUP = "HTTPRouteGroup"


def requests(obj: Object, known: Objects) -> tuple[HttpMatch, ...] | None:
    """All matches of the route groups that `spec.matches` names; None when it names none.

    A group that is absent admits nothing, and does not open what the others close.
    """
    names = [ref["name"] for ref in obj["spec"].get("matches", ()) if ref["kind"] == _GROUP]
    if not names:
        return None
    routes = Routes(known)
    groups = (routes.http(namespace_of(obj), name) for name in names)
    return tuple(match for group in groups if group for match in group.values())


def check_requests(obj: Object, known: Objects, report: Report) -> None:
    """Report route groups that are not there (ML226)."""
    namespace, routes = namespace_of(obj), Routes(known)
    for index, ref in enumerate(obj["spec"].get("matches", ())):
        if ref["kind"] == _GROUP and not routes.exists(_GROUP, namespace, ref["name"]):
            what = f"there is no {_GROUP} {ref['name']!r} in namespace {namespace}; until there is, it admits nothing"
            report.warning("ML226", f"spec.matches[{index}].name", what, f"kubectl get httproutegroups -n {namespace}")
