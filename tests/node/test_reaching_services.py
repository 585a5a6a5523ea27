"""How one pod reaches another on loopback: by cluster IP, and by name through the node's proxy."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from meshlab.kube.objects import POD, SERVICE

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("MESHLAB_ORACLE_KUBECONFIG")), reason="a real API server refuses loopback endpoints"
)

SERVER = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.reply(f"{os.environ['HOSTNAME']} {self.path} {self.headers['Host']} {body.decode()}")

    def do_GET(self):
        self.reply(f"{os.environ['HOSTNAME']} {self.path} {self.headers['Host']}")

    def reply(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

http.server.ThreadingHTTPServer((os.environ["BIND_ADDRESS"], 8080), Handler).serve_forever()
"""


def server(name):
    container = {
        "name": "c",
        "image": "meshlab:latest",
        "command": ["python", "-c", SERVER],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}},
    }
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "shop"}}, "spec": spec}
    )


@pytest.fixture
async def shop(corner):
    """A Service with two pods behind it, ready."""
    ports = [{"name": "web", "port": 8000, "targetPort": "http"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}}
    await corner.apply(json.dumps({**service, "spec": {"selector": {"app": "shop"}, "ports": ports}}))
    await corner.apply(server("one"))
    await corner.apply(server("two"))
    address = (await corner.get(SERVICE, "shop"))["spec"]["clusterIP"]

    async def both_answer():
        return {await get(address, 8000) for _ in range(4)} == {"one", "two"}

    await corner.eventually(both_answer)
    return address


async def get(address, port):
    try:
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    except OSError:
        return ""
    return answer.rpartition(b"\r\n\r\n")[2].decode().partition(" ")[0]


async def client(corner, script):
    """What a shell script prints in a pod of the same namespace."""
    container = {"name": "c", "image": "meshlab:latest", "command": ["sh", "-c", script]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    await corner.apply(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": spec}))

    async def done():
        return (await corner.get(POD, "client"))["status"].get("phase") == "Succeeded"

    await corner.eventually(done)
    return await corner.kube.text(POD.path(corner.namespace, "client", "log"))


ASK = """
python - <<'PYTHON'
import urllib.request, urllib.error
def ask(url, data=None):
    try:
        with urllib.request.urlopen(url, data, timeout=10) as answer:
            print(answer.read().decode().partition(" ")[2])
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode().strip())
%s
PYTHON
"""


async def test_every_form_of_a_services_name_is_known_to_the_proxy(corner, shop):
    names = ["shop", f"shop.{corner.namespace}", f"shop.{corner.namespace}.svc"]
    names.append(f"shop.{corner.namespace}.svc.cluster.local")
    calls = "\n".join(f"ask('http://{name}:8000/books?q=1')" for name in names)
    assert (await client(corner, ASK % calls)).splitlines() == [f"/books?q=1 {name}:8000" for name in names]


async def test_a_body_goes_through_and_what_is_unknown_is_refused_with_words(corner, shop):
    calls = f"""
ask('http://shop:8000/buy', b'x' * 100_000)
ask('http://nobody:8000/')
ask('http://shop:9/')
ask('http://shop.elsewhere/')
ask('http://{shop}:8000/by-address')
"""
    lines = (await client(corner, ASK % calls)).splitlines()
    assert lines[0] == f"/buy shop:8000 {'x' * 100_000}"
    assert lines[1] == f"502 this node knows Services only, and no nobody in namespace {corner.namespace}"
    assert lines[2] == f"502 Service {corner.namespace}/shop has no port 9"
    assert lines[3] == "502 this node knows Services only, and no shop in namespace elsewhere"
    assert lines[4] == f"/by-address {shop}:8000"


async def test_a_tunnel_is_made_by_connect(corner, shop):
    script = """
import os, socket, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
tunnel = socket.create_connection((proxy.hostname, proxy.port))
tunnel.sendall(b"CONNECT shop:8000 HTTP/1.1\\r\\nHost: shop:8000\\r\\n\\r\\n")
stream = tunnel.makefile("rwb")
print(stream.readline().decode().split()[1])
stream.readline()
stream.write(b"GET /through HTTP/1.1\\r\\nHost: inside\\r\\nConnection: close\\r\\n\\r\\n")
stream.flush()
print(stream.read().decode().rpartition(" ")[0].rpartition(" ")[2])
"""
    assert await client(corner, f"python - <<'PYTHON'\n{script}\nPYTHON\n") == "200\n/through\n"


async def test_a_service_without_ready_pods_refuses_and_one_that_is_deleted_listens_no_more(corner, shop):
    for name in ("one", "two"):
        await corner.kube.delete(POD, name, corner.namespace)

    async def empty():
        return await get(shop, 8000) == ""

    await corner.eventually(empty)
    text = await client(corner, ASK % "ask('http://shop:8000/')")
    assert text == f"503 Service {corner.namespace}/shop has no ready endpoint\n"
    await corner.kube.delete(SERVICE, "shop", corner.namespace)

    async def closed():
        try:
            _, writer = await asyncio.open_connection(shop, 8000)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await corner.eventually(closed)
