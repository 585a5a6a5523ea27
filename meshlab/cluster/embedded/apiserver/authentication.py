"""Who sends a request: a client certificate, a service account's token, or nobody in particular?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.request import ANONYMOUS, User

if TYPE_CHECKING:
    from aiohttp import web

_AUTHENTICATED = "system:authenticated"


def authenticate(http: web.BaseRequest, token_user: Callable[[str], User | None]) -> User:
    """The user a request proves to be. Raises 401 for a bearer token that `token_user` doesn't believe."""
    kind, _, token = http.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        user = token_user(token.strip())
        if user is None:
            raise status.unauthorized()
        return user
    peer = http.transport.get_extra_info("peercert") if http.transport else None
    return certificate_user(peer) if peer else ANONYMOUS


def certificate_user(peer: Mapping[str, Any]) -> User:
    """The user of a verified client certificate: the common name; its organizations are the groups."""
    names = [(key, value) for part in peer["subject"] for key, value in part]
    name = next((value for key, value in names if key == "commonName"), "")
    groups = tuple(value for key, value in names if key == "organizationName")
    return User(name, groups=(*groups, _AUTHENTICATED)) if name else ANONYMOUS


def impersonated(http: web.BaseRequest) -> User | None:
    """The user whom the request's `Impersonate-*` headers ask to be (`kubectl --as`), or None.

    Whether the sender may do so is for authorization to say.
    """
    name = http.headers.get("Impersonate-User", "")
    groups = tuple(http.headers.getall("Impersonate-Group", []))
    extra: dict[str, list[str]] = {}
    for key, value in http.headers.items():
        if key.lower().startswith("impersonate-extra-"):
            extra.setdefault(key[len("impersonate-extra-") :].lower(), []).append(value)
    if not name:
        if groups or extra:
            message = f"requested [{{Group  {groups[0]}  }}] without impersonating a user" if groups else "no user"
            raise status.internal(message)
        return None
    return with_own_groups(User(name, http.headers.get("Impersonate-Uid", ""), groups, extra))


def with_own_groups(user: User) -> User:
    """A user with the groups that follow from the name."""
    if user == ANONYMOUS or user.name == ANONYMOUS.name:
        return replace(user, groups=tuple(dict.fromkeys((*user.groups, *ANONYMOUS.groups))))
    own = (*user.groups, *service_account_groups(user.name), _AUTHENTICATED)
    return replace(user, groups=tuple(dict.fromkeys(own)))


def service_account_groups(name: str) -> tuple[str, ...]:
    """The groups of `system:serviceaccount:<namespace>:<name>`; none for anybody else."""
    match name.split(":"):
        case ["system", "serviceaccount", namespace, _]:
            return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return ()
