"""What do the kinds that are questions answer: may I, may they, who am I, whose token is this?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.authentication import with_own_groups
from meshlab.cluster.embedded.apiserver.authorization import Lookup, refuse, rules_of
from meshlab.cluster.embedded.apiserver.request import RequestInfo, User
from meshlab.cluster.embedded.apiserver.tokens import ISSUER, TokenError, Tokens

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.request import Call

Review = dict[str, Any]


def answer(call: Call, review: Review, lookup: Lookup, tokens: Tokens) -> Review:
    """The review with its status filled in."""
    spec = review.setdefault("spec", {})
    match call.info.resource:
        case "selfsubjectaccessreviews":
            review["status"] = _access(call.user, spec, lookup)
        case "subjectaccessreviews" | "localsubjectaccessreviews":
            review["status"] = _access(_subject(spec), _in_namespace(spec, call.info.namespace), lookup)
        case "selfsubjectrulesreviews":
            review["status"] = _rules(call.user, spec, lookup)
        case "selfsubjectreviews":
            review["status"] = {"userInfo": user_info(call.user)}
        case "tokenreviews":
            review["status"] = _token(spec, tokens)
        case _:
            raise status.no_such_path()
    return review


def user_info(user: User) -> dict[str, Any]:
    """A user as the Kubernetes API shows one."""
    info = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": dict(user.extra)}
    return {key: value for key, value in info.items() if value}


def _subject(spec: Mapping[str, Any]) -> User:
    if not spec.get("user") and not spec.get("groups"):
        causes = [status.invalid_value("spec.user", "", "at least one of user or group must be specified")]
        message = f'SubjectAccessReview.authorization.k8s.io "" is invalid: {causes[0]}'
        raise status.StatusError(422, "Invalid", message, {"causes": [cause.to_dict() for cause in causes]})
    groups = tuple(spec.get("groups") or ())
    return User(spec.get("user") or "", spec.get("uid") or "", groups, spec.get("extra") or {})


def _in_namespace(spec: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
    if namespace and asked != namespace:
        raise status.bad_request(
            f'spec.resourceAttributes.namespace must match namespace: "{asked}" is not "{namespace}"'
        )
    return spec


def _access(user: User, spec: Mapping[str, Any], lookup: Lookup) -> dict[str, Any]:
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
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
        raise status.bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    refusal = refuse(user, info, lookup)
    if refusal is None:
        return {"allowed": True}
    return {"allowed": False, **({"reason": refusal} if refusal else {})}


def _rules(user: User, spec: Mapping[str, Any], lookup: Lookup) -> dict[str, Any]:
    resources: list[dict[str, Any]] = []
    paths: list[dict[str, Any]] = []
    for rule in rules_of(user, spec.get("namespace", ""), lookup):
        if rule.get("resources"):
            keys = ("verbs", "apiGroups", "resources", "resourceNames")
            resources.append({key: rule[key] for key in keys if rule.get(key)})
        if rule.get("nonResourceURLs"):
            paths.append({key: rule[key] for key in ("verbs", "nonResourceURLs")})
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def _token(spec: Mapping[str, Any], tokens: Tokens) -> dict[str, Any]:
    try:
        user, audiences = tokens.user(spec.get("token") or "", spec.get("audiences") or (ISSUER,))
    except TokenError as error:
        return {"user": {}, "error": str(error)}
    return {"authenticated": True, "user": user_info(with_own_groups(user)), "audiences": audiences}
