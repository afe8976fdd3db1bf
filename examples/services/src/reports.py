"""Reports, a resource service in Python's standard library: it asks the revocation service about each request, by token
introspection (RFC 7662), and revokes by its API. Settings: RESCIND_URL, RESCIND_KEY, PORT."""

import json
import os
import signal
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SERVICE = os.environ["RESCIND_URL"]
KEY = os.environ["RESCIND_KEY"]
TIMEOUT_SECONDS = 5


def ask(path, body, content_type):
    """What the service answers. Raises OSError where it does not, or refuses."""
    headers = {"authorization": "Bearer " + KEY, "content-type": content_type}
    request = urllib.request.Request(SERVICE + path, data=body.encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        return json.load(response)


def introspect(token):
    return ask("/introspect", urllib.parse.urlencode({"token": token}), "application/x-www-form-urlencoded")


def revoke(token):
    """Returns when every node refuses the token."""
    order = {"token": token, "reason": "log-out", "ack": "everywhere"}
    ask("/api/v1/revocations", json.dumps(order), "application/json")


class Reports(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer_for_token(lambda token, claims: self.answer(200, {"user": claims["sub"], "reports": ["May", "June"]}))

    def do_POST(self):
        self.answer_for_token(self.log_out)

    def log_out(self, token, claims):
        revoke(token)
        self.answer(204)

    def answer_for_token(self, go_on):
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self.answer(401, challenge='Bearer realm="reports"')
        try:
            claims = introspect(token)
            if claims["active"]:
                return go_on(token, claims)
            return self.answer(401, challenge='Bearer realm="reports", error="invalid_token"')
        except OSError as error:
            # Whoever cannot ask lets nobody in, and whoever could not revoke does not say that it is done.
            print("the revocation service:", error, file=sys.stderr)
            return self.answer(503)

    def answer(self, status, body=None, challenge=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if challenge:
            self.send_header("www-authenticate", challenge)
        if status == 503:
            self.send_header("retry-after", "1")
        if status != 204:
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3003"))), Reports)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
print("listening on http://127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
