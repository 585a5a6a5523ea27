"""A server to put cases to: what it answers to a request, and what kubectl says of it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shlex
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from meshlab.lab.kubectl import find_kubectl

USER_AGENT = "fidelity/1"
SHOWN = ("Content-Type", "Warning", "Retry-After")


class Server:
    """An API server by its kubeconfig. `ask` and `kubectl` return plain data that can be compared."""

    def __init__(self, name: str, kubeconfig: Path, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._kubeconfig = kubeconfig
        cluster, user = _parts(yaml.safe_load(kubeconfig.read_text()))
        self.url: str = cluster["server"]
        authority = _pem(cluster, "certificate-authority")
        self._anonymous = ssl.create_default_context(cadata=authority)
        self._admin = ssl.create_default_context(cadata=authority)
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if "token" not in user:
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(_pem(user, "client-certificate") + _pem(user, "client-key"))
                file.flush()
                self._admin.load_cert_chain(file.name)
        self._connection = self._connect(self._admin)

    def _connect(self, context: ssl.SSLContext) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(urlsplit(self.url).netloc, context=context, timeout=20)

    def ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str], events: int = 0) -> Any:
        """Status, some headers and body of an answer; of a watch, its first events.

        A request that brings credentials of its own is not sent as the administrator.
        """
        own = "Authorization" in headers
        sent = {"User-Agent": USER_AGENT, **({} if own else self._headers), **headers}
        connection = self._connect(self._anonymous if own else self._admin) if own or events else self._connection
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            if events and response.status == 200:
                lines = [response.readline() for _ in range(events)]
                return {"status": 200, "events": [json.loads(line) for line in lines if line.strip()]}
            body = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        finally:
            if connection is not self._connection:
                connection.close()
        found = {name: response.headers.get_all(name) for name in SHOWN}
        shown = {name: values for name, values in found.items() if values}
        return {"status": response.status, "headers": shown, "body": _parsed(response, body)}

    def kubectl(self, line: str, namespace: str, stdin: str, editor: str) -> Any:
        """Exit code and output of a kubectl command line."""
        command = [str(find_kubectl()), "-n", namespace, *shlex.split(line)]
        environment = {
            "HOME": str(self.folder),
            "KUBECONFIG": str(self._kubeconfig),
            "PATH": os.environ["PATH"],
            "KUBE_EDITOR": editor,
            "TZ": "UTC",
            "TMPDIR": str(self.folder),
        }
        settings: Any = {"capture_output": True, "text": True, "timeout": 60}
        done = subprocess.run(command, check=False, input=stdin, env=environment, cwd=self.folder, **settings)
        return {"exit": done.returncode, "output": done.stdout.splitlines(), "errors": done.stderr.splitlines()}

    def close(self) -> None:
        """Nothing will be asked any more."""
        self._connection.close()


def _parts(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return config["clusters"][0]["cluster"], config["users"][0]["user"]


def _pem(section: dict[str, Any], name: str) -> str:
    given = section.get(f"{name}-data")
    return base64.b64decode(given).decode() if given else Path(section[name]).read_text()


def _parsed(response: http.client.HTTPResponse, body: bytes) -> Any:
    if body and "json" in response.headers.get_content_type():
        return json.loads(body)
    try:
        return body.decode().splitlines()
    except UnicodeDecodeError:
        return f"{len(body)} bytes"
