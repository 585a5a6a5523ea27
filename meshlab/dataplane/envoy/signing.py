"""How does a proxy get its certificate? It proves which pod it is by the pod's service-account token."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus

from meshlab.dataplane.envoy import names
from meshlab.errors import DataPlaneError
from meshlab.identity.grant import Grant

PATH = "/v1/certificates"
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class SigningService:
    """The control plane's signing endpoint: where it is, and the name its certificate must show."""

    address: str
    name: str
    port: int = names.SIGNING_PORT
    mark: int = 0
    """What the kernel knows the proxy's own connections by, if it has to."""

    def sign(self, request: bytes, token: str, roots: str) -> Grant:
        """Have a request signed; blocks. Raises DataPlaneError ML301 when it isn't, and says why."""
        try:
            status, body = self._post(request, token, roots)
        except (OSError, http.client.HTTPException) as error:
            raise DataPlaneError("ML301", f"no answer: {error}", about=str(self)) from error
        if status != HTTPStatus.OK:
            raise DataPlaneError("ML301", f"{status}: {body.decode(errors='replace').strip()}", about=str(self))
        return Grant.from_json(body)

    def __str__(self) -> str:
        return f"{self.name} at {self.address}:{self.port}"

    def _post(self, request: bytes, token: str, roots: str) -> tuple[int, bytes]:
        context = ssl.create_default_context(cadata=roots)
        connection = http.client.HTTPConnection(self.name, self.port)
        with self._connect() as plain, context.wrap_socket(plain, server_hostname=self.name) as encrypted:
            connection.sock = encrypted
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-pem-file"}
            connection.request("POST", PATH, body=request, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    def _connect(self) -> socket.socket:
        family, kind, protocol, _, where = socket.getaddrinfo(self.address, self.port, type=socket.SOCK_STREAM)[0]
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(_TIMEOUT)
            if self.mark:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)
            plain.connect(where)
        except OSError:
            plain.close()
            raise
        return plain
