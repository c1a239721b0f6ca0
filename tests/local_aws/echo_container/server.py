"""
A container's server that does what each record tells it to.

A record is a line of words: ``say x`` is answered as it is, ``sleep 3`` after three seconds,
``fail 500`` with that status, ``fail-once 500`` with it the first time only, ``meet 4`` once four
requests are here together, ``die`` not at all. Every answer tells what the server saw of its
request. A file in the model artifact makes it fail while loading or gives its execution
parameters.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL_DIR = Path(os.environ["SM_MODEL_DIR"])
TIMEOUT_IN_SECONDS = 10


class Seen:
    """What all requests have in common."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.requests = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.failed_once: set[str] = set()

    def enter(self) -> int:
        with self.changed:
            self.requests += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.changed.notify_all()
            return self.requests

    def leave(self) -> None:
        with self.changed:
            self.in_flight -= 1

    def have_met(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.most_in_flight >= count, TIMEOUT_IN_SECONDS)


SEEN = Seen()


def status_after_obeying(record: str) -> int:
    """Do what a record says and return the status it calls for."""
    verb, _, argument = record.partition(" ")
    if verb == "sleep":
        time.sleep(float(argument))
    elif verb == "die":
        print("struck by lightning", flush=True)
        os._exit(3)
    elif verb == "fail" or (verb == "fail-once" and record not in SEEN.failed_once):
        SEEN.failed_once.add(record)
        return int(argument)
    elif verb == "meet" and not SEEN.have_met(int(argument)):
        return 500
    return 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together, so no delayed ACK is waited for

    def do_GET(self) -> None:
        parameters = MODEL_DIR / "execution_parameters.json"
        if self.path == "/ping":
            self.answer(503 if (MODEL_DIR / "never_ready").exists() else 200, b"")
        elif self.path == "/execution-parameters" and parameters.exists():
            self.answer(200, parameters.read_bytes())
        else:
            self.answer(404, b"no such route")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        number = SEEN.enter()
        try:
            records = body.decode().removesuffix("\n").split("\n")
            status = max(status_after_obeying(record) for record in records)
        finally:
            SEEN.leave()
        request = {
            "number": number,
            "bytes": len(body),
            "most_in_flight": SEEN.most_in_flight,
            "pid": os.getpid(),
            "headers": dict(self.headers),
            "environment": dict(os.environ) if "environment" in records else {},
        }
        answers = [json.dumps({"record": record, "request": request}) for record in records]
        self.answer(status, "\n".join(answers).encode() if status == 200 else b"as told")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        print("request", *arguments, flush=True)


def main() -> None:
    if sys.argv[1:] != ["serve"]:
        sys.exit(f"expected the word serve, got {sys.argv[1:]}")
    if (MODEL_DIR / "cannot_be_loaded").exists():
        sys.exit("OSError: the model cannot be loaded: it is broken")
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
