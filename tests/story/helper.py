"""What proxies call for themselves, in one pod: a collector of traces, and an authorization that turns some away.

Prints a line for each span: the trace, and who tells of it. Runs inside a pod, as its command.
"""

import json
import os
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from google.rpc.status_pb2 import Status

ADDRESS = os.environ.get("BIND_ADDRESS", "0.0.0.0")


class Collector(BaseHTTPRequestHandler):
    """Zipkin's API, as far as proxies use it."""

    def do_POST(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        for span in json.loads(body):
            print(span["traceId"], span["localEndpoint"]["serviceName"], flush=True)
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


def check(request, _context):
    refused = request.attributes.request.http.headers.get("ticket") == "none"
    return CheckResponse(status=Status(code=7 if refused else 0))


server = grpc.server(futures.ThreadPoolExecutor(4))
method = grpc.unary_unary_rpc_method_handler(check, CheckRequest.FromString, CheckResponse.SerializeToString)
service = "envoy.service.auth.v3.Authorization"
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Check": method}),))
server.add_insecure_port(f"{ADDRESS}:9191")
server.start()
HTTPServer((ADDRESS, 9411), Collector).serve_forever()
