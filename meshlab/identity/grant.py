"""What does a proxy get for its signing request? Its certificate, whom to trust, and who it now is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

from meshlab.errors import IdentityError


@dataclass(frozen=True, slots=True)
class Grant:
    """The JSON answer of ``POST /v1/certificates``. Certificates are PEM text."""

    chain: str
    bundle: str

    def to_json(self) -> bytes:
        """The answer's body."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read an answer. Raises IdentityError ML402 when it is not one."""
        try:
            return cls(**json.loads(body))
        except (TypeError, ValueError) as error:
            raise IdentityError("ML402", f"the answer is not a certificate: {error}") from error
