"""How does a service account get a token, and how is one believed?

A token is a JWT signed by the cluster's service account key. It holds as long as its account, and the pod it may be
bound to, exist with the uid it names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.authentication import with_own_groups
from meshlab.cluster.embedded.apiserver.request import User

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
"""Who signs, and the audience that is meant when none is named: the API server itself."""

_LEEWAY = 10
_BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}
_EXTRA = "authentication.kubernetes.io"


class TokenError(Exception):
    """Why a token isn't believed."""


@dataclass(frozen=True)
class Tokens:
    """Signs and checks with the key in a file, against the accounts in a store."""

    key_file: Path
    store: Store

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{self.key_file} holds no RSA key")
        return key

    @cached_property
    def key_id(self) -> str:
        """The fingerprint by which the public key is known."""
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return _encode(hashlib.sha256(self._key.public_key().public_bytes(*form)).digest())

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        fields = {"n": _number(numbers.n), "e": _number(numbers.e)}
        return {"keys": [{"use": "sig", "kty": "RSA", "kid": self.key_id, "alg": "RS256", **fields}]}

    def configuration(self) -> dict[str, Any]:
        """What the issuer of tokens says of itself (OpenID Connect)."""
        return {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def request(self, account: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a TokenRequest for an account. Raises 422 and 404 as a real server does."""
        spec = body.get("spec") or {}
        seconds = spec.get("expirationSeconds") or 3600
        if seconds < 600:
            raise _invalid(status.invalid_value(_SECONDS, seconds, "may not specify a duration less than 10 minutes"))
        if seconds > 1 << 32:
            raise _invalid(
                status.invalid_value(_SECONDS, seconds, "may not specify a duration larger than 2^32 seconds")
            )
        audiences = spec.get("audiences") or [ISSUER]
        metadata, now = account["metadata"], int(time.time())
        claims: dict[str, Any] = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        bound = spec.get("boundObjectRef")
        if bound:
            claims[bound.get("kind", "").lower()] = self._bound(bound, metadata["namespace"], metadata["name"])
        token = self._sign(
            {
                "aud": audiences,
                "exp": now + seconds,
                "iat": now,
                "iss": ISSUER,
                "jti": str(uuid.uuid4()),
                "kubernetes.io": claims,
                "nbf": now,
                "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
            }
        )
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                **{key: metadata[key] for key in ("name", "namespace", "uid")},
                "creationTimestamp": _time(now),
            },
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound},
            "status": {"token": token, "expirationTimestamp": _time(now + seconds)},
        }

    def user(self, token: str, audiences: Sequence[str] = (ISSUER,)) -> tuple[User, list[str]]:
        """Whose token it is, and for which of these audiences it holds. Raises TokenError."""
        claims = self._verified(token)
        named = claims.get("aud") or []
        valid = [audience for audience in audiences if audience in named]
        if not valid:
            told = [json.dumps(list(names)).replace(", ", " ") for names in (named, audiences)]
            raise TokenError(
                f"[invalid bearer token, token audiences {told[0]} is invalid for the target audiences {told[1]}]"
            )
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        self._require("serviceaccounts", namespace, account, "service account token has been invalidated")
        extra = {f"{_EXTRA}/credential-id": [f"JTI={claims['jti']}"]}
        for kind, plural in _BOUND.items():
            bound = private.get(kind.lower())
            if bound:
                self._require(plural, "" if kind == "Node" else namespace, bound, f"bound {kind.lower()} is gone")
                extra[f"{_EXTRA}/{kind.lower()}-name"] = [bound["name"]]
                extra[f"{_EXTRA}/{kind.lower()}-uid"] = [bound["uid"]]
        return with_own_groups(User(claims["sub"], account["uid"], extra=extra)), valid

    def _bound(self, ref: Mapping[str, Any], namespace: str, account: str) -> dict[str, str]:
        kind, name = ref.get("kind", ""), ref.get("name", "")
        if kind not in _BOUND:
            raise status.bad_request(f"cannot bind token to object of type /v1, Kind={kind}")
        found = self.store.get(_BOUND[kind], ("" if kind == "Node" else namespace, name))
        if found is None:
            details = {"name": name, "kind": _BOUND[kind]}
            raise status.StatusError(404, "NotFound", f'{_BOUND[kind]} "{name}" not found', details)
        if kind == "Pod" and found.obj["spec"].get("serviceAccountName") != account:
            other = "pod running with different serviceaccount name."
            raise status.bad_request(f'cannot bind token for serviceaccount "{account}" to {other}')
        uid: str = found.obj["metadata"]["uid"]
        if ref.get("uid") not in (None, "", uid):
            told = f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record."
            message = f'Operation cannot be fulfilled on {_BOUND[kind]} "{name}": {told}'
            raise status.StatusError(
                409, "Conflict", f"{message} The object might have been deleted and then recreated"
            )
        return {"name": name, "uid": uid}

    def _require(self, plural: str, namespace: str, ref: Mapping[str, str], problem: str) -> None:
        found = self.store.get(plural, (namespace, ref["name"]))
        if found is None or found.obj["metadata"]["uid"] != ref["uid"]:
            raise TokenError(problem)

    def _sign(self, claims: Mapping[str, Any]) -> str:
        header = {"alg": "RS256", "kid": self.key_id}
        text = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_encode(signature)}"

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            text, _, signature = token.rpartition(".")
            header, body = (json.loads(_decode(part)) for part in text.split("."))
            if header.get("alg") != "RS256" or not isinstance(body, dict):
                raise TokenError("invalid bearer token")
            self._key.public_key().verify(_decode(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, binascii.Error, InvalidSignature, AttributeError) as error:
            raise TokenError("invalid bearer token") from error
        now = time.time()
        if body["iss"] != ISSUER or not body["nbf"] - _LEEWAY <= now:
            raise TokenError("invalid bearer token")
        if now > body["exp"] + _LEEWAY:
            raise TokenError("[invalid bearer token, service account token has expired]")
        return body


_SECONDS = "spec.expirationSeconds"


def _invalid(cause: status.Cause) -> status.StatusError:
    details = {"group": "authentication.k8s.io", "kind": "TokenRequest", "causes": [cause.to_dict()]}
    message = f'TokenRequest.authentication.k8s.io "" is invalid: {cause}'
    return status.StatusError(422, "Invalid", message, details)


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(value: int) -> str:
    return _encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
