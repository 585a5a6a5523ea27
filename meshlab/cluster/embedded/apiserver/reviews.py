"""What do the kinds that are questions answer: may I, may they, who am I, whose token is this?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.authentication import with_own_groups
from meshlab.cluster.embedded.apiserver.authorization import Lookup, allowed_by, grants, refuse
from meshlab.cluster.embedded.apiserver.metadata import now
from meshlab.cluster.embedded.apiserver.request import RequestInfo, User
from meshlab.cluster.embedded.apiserver.tokens import ISSUER, TokenError, Tokens

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.request import Call

Review = dict[str, Any]


def answer(call: Call, review: Review, lookup: Lookup, tokens: Tokens) -> Review:
    """The review with its status filled in."""
    if call.info.resource == "selfsubjectreviews":
        metadata = {"creationTimestamp": now()}
        return {**review, "metadata": metadata, "status": {"userInfo": user_info(call.user)}}
    spec = review.setdefault("spec", {})
    match call.info.resource:
        case "selfsubjectaccessreviews":
            review["status"] = _access(call.user, spec, lookup)
        case "subjectaccessreviews" | "localsubjectaccessreviews":
            review["status"] = _access(_subject(spec, call.info.namespace), spec, lookup)
        case "selfsubjectrulesreviews":
            review["status"] = _rules(call.user, spec, lookup)
        case "tokenreviews":
            review["status"] = _token(spec, tokens)
        case _:
            raise status.no_such_path()
    return review


def user_info(user: User) -> dict[str, Any]:
    """A user as the Kubernetes API shows one."""
    info = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": dict(user.extra)}
    return {key: value for key, value in info.items() if value}


def _subject(spec: Mapping[str, Any], namespace: str) -> User:
    """Whom is asked about. Raises 422 when nobody is, or in a local review about another namespace."""
    asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
    if namespace and asked != namespace:
        where = "spec.resourceAttributes.namespace"
        raise _invalid([status.invalid_value(where, asked, "must match metadata.namespace")])
    if not spec.get("user") and not spec.get("groups"):
        raise _invalid([status.invalid_value("spec.user", "", "at least one of user or group must be specified")])
    groups = tuple(spec.get("groups") or ())
    return User(spec.get("user") or "", spec.get("uid") or "", groups, spec.get("extra") or {})


def _invalid(causes: list[status.Cause]) -> status.StatusError:
    details = {"group": "authorization.k8s.io", "causes": [cause.to_dict() for cause in causes]}
    message = f'.authorization.k8s.io "" is invalid: {", ".join(map(str, causes))}'
    return status.StatusError(422, "Invalid", message, details)


def _access(user: User, spec: Mapping[str, Any], lookup: Lookup) -> dict[str, Any]:
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if asked and path:
        shown = {"Path": path.get("path", ""), "Verb": path.get("verb", "")}
        detail = "cannot be specified in combination with resourceAttributes"
        raise _invalid([status.invalid_value("spec.nonResourceAttributes", shown, detail)])
    if asked:
        info = RequestInfo(
            path="",
            verb=asked.get("verb", ""),
            is_resource=True,
            group=asked.get("group", ""),
            version=asked.get("version", ""),
            namespace=asked.get("namespace", ""),
            resource=asked.get("resource", ""),
            name=asked.get("name", ""),
            subresource=asked.get("subresource", ""),
        )
    elif path:
        info = RequestInfo(path.get("path", ""), path.get("verb", ""))
    else:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _invalid([status.invalid_value("spec.resourceAttributes", None, detail)])
    refusal = refuse(user, info, lookup)
    if refusal is None:
        why = allowed_by(user, info, lookup)
        return {"allowed": True, **({"reason": why} if why else {})}
    return {"allowed": False, **({"reason": refusal} if refusal else {})}


def _rules(user: User, spec: dict[str, Any], lookup: Lookup) -> dict[str, Any]:
    resources: list[dict[str, Any]] = []
    paths: list[dict[str, Any]] = []
    for rule, _ in grants(user, spec.pop("namespace", ""), lookup):
        if rule.get("resources"):
            keys = ("verbs", "apiGroups", "resources", "resourceNames")
            resources.append({key: rule[key] for key in keys if rule.get(key)})
        if rule.get("nonResourceURLs"):
            paths.append({key: rule[key] for key in ("verbs", "nonResourceURLs")})
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def _token(spec: Mapping[str, Any], tokens: Tokens) -> dict[str, Any]:
    if not spec.get("token"):
        raise status.bad_request("token is required for TokenReview in authentication")
    try:
        user, audiences = tokens.user(spec.get("token") or "", spec.get("audiences") or (ISSUER,))
    except TokenError as error:
        return {"user": {}, "error": str(error)}
    return {"authenticated": True, "user": user_info(with_own_groups(user)), "audiences": audiences}
