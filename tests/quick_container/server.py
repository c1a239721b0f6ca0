"""
A container's server with no model behind it: it answers on the wire as the real one does.

A document is classified by its first word. One that begins with `refuse` or `fail` makes its whole
request fail, with 422 or 500; one that begins with `linger` is answered only after a minute. How
each request was answered is printed.
"""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAILURES = {"refuse": 422, "fail": 500}


def answer(record: bytes, content_type: str) -> dict:
    """Return the answer to one record, its identity echoed."""
    fields = json.loads(record) if "json" in content_type else {"text": record.decode()}
    label = fields.pop("text").split()[0]
    if label == "linger":
        time.sleep(60)
    best = {"class": label, "score": 0.9}
    return fields | {"predictions": {"predicted_class": label, "top_predictions": [best]}}


class Server(BaseHTTPRequestHandler):
    """The two routes that a transform job uses."""

    def do_GET(self) -> None:
        """Be ready at once."""
        self._respond(200 if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        """Answer a mini-batch, or fail it whole."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        records = body.removesuffix(b"\n").split(b"\n")
        answers = [answer(record, self.headers["Content-Type"]) for record in records]
        labels = (each["predictions"]["predicted_class"] for each in answers)
        status = max(FAILURES.get(label, 200) for label in labels)
        print(json.dumps({"status": status}), flush=True)
        self._respond(status, "\n".join(map(json.dumps, answers)).encode())

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
