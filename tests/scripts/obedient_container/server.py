"""
A container's server that fails where a document asks for it: with 500 where one begins with `fail`.

It answers on the wire as the real one does, classes each document by its first word, and prints
how it answered each request.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def answer(record: dict) -> dict:
    """Return the answer to one record, its identity echoed."""
    label = record.pop("text").split()[0]
    best = {"class": label, "score": 0.9}
    return record | {"predictions": {"predicted_class": label, "top_predictions": [best]}}


class Server(BaseHTTPRequestHandler):
    """The two routes that a transform job uses."""

    def do_GET(self) -> None:
        """Be ready at once."""
        self._respond(200 if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        """Answer a mini-batch, or fail it whole."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answers = [answer(json.loads(line)) for line in body.removesuffix(b"\n").split(b"\n")]
        failed = any(each["predictions"]["predicted_class"] == "fail" for each in answers)
        print(json.dumps({"status": 500 if failed else 200}), flush=True)
        self._respond(500 if failed else 200, "\n".join(map(json.dumps, answers)).encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing more."""

    def _respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(
    ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Server
).serve_forever()
