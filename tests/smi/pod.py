"""What runs in every pod of these tests: it answers, with its name and port, and calls others when it is told to."""

# ruff: noqa: N815, PLC0415  # the names are the standard library's; grpc is slow to import, and few pods need it

import http.client
import http.server
import json
import os
import socket
import socketserver
import threading

NAME = os.environ["NAME"]
HTTP, TCP, GRPC, DRIVER = (7080, 7081, 7082, 7180), 7090, 7085, 9000


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.reply({"served-by": f"{NAME}:{self.server.server_address[1]}"}, b"")

    def reply(self, headers: dict[str, str], body: bytes) -> None:
        self.send_response(200)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_PATCH = answer

    def log_message(self, *_: object) -> None:
        pass


class Driver(App):
    """Makes the calls that a test asks for, one after the other."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.reply({}, json.dumps([call(**one) for one in asked]).encode())


class Greeter(socketserver.BaseRequestHandler):
    """Speaks first."""

    def handle(self) -> None:
        self.request.sendall(NAME.encode())


def call(kind: str, host: str, port: int, method: str, path: str, headers: dict[str, str]) -> str:
    try:
        if kind == "tcp":
            return tcp(host, port)
        if kind == "grpc":
            return grpc_call(f"{host}:{port}", path)
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.putrequest(method, path, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value.encode())
        connection.endheaders()
        answer = connection.getresponse()
        return f"{answer.status} {answer.headers.get('served-by', '')}".strip()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__


def tcp(host: str, port: int) -> str:
    with socket.create_connection((host, port), timeout=10) as connection:
        heard = b""
        while part := connection.recv(100):
            heard += part
        return heard.decode() or "closed"


def grpc_call(target: str, path: str) -> str:
    import grpc

    with grpc.insecure_channel(target) as channel:
        try:
            return channel.unary_unary(path)(b"", timeout=10).decode()
        except grpc.RpcError as error:
            return error.code().name


def serve_grpc() -> object:
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    class Any(grpc.GenericRpcHandler):
        def service(self, _details: object) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: NAME.encode())

    server = grpc.server(ThreadPoolExecutor(2), [Any()])
    server.add_insecure_port(f"0.0.0.0:{GRPC}")
    server.start()
    return server


speaks_grpc = serve_grpc() if "GRPC" in os.environ else None
socketserver.ThreadingTCPServer.allow_reuse_address = True
servers = [
    *(http.server.ThreadingHTTPServer(("0.0.0.0", port), App) for port in HTTP),
    http.server.ThreadingHTTPServer(("0.0.0.0", DRIVER), Driver),
    socketserver.ThreadingTCPServer(("0.0.0.0", TCP), Greeter),
]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
