"""A way to the local AWS on which some requests fail, as they do on the way to the real one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


@dataclass
class FaultyGateway:
    """
    Where it listens, and what it does with a request before it passes it on.

    *fault* is given method and path, and returns the status to fail with, or None.
    """

    endpoint_url: str
    fault: Callable[[str, str], int | None] = lambda _method, _path: None
    failed: list[str] = field(default_factory=list)


@contextmanager
def faulty_gateway(target_url: str) -> Iterator[FaultyGateway]:
    """Listen on a free port for as long as the block lasts; at first nothing fails."""
    pool = urllib3.PoolManager(maxsize=32)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body leave together, so no delayed ACK is waited for

        def __getattr__(self, name: str) -> Callable[[], None]:
            """Take every method alike: `do_GET`, `do_PUT` and so on."""
            if name.startswith("do_"):
                return self._pass_on
            raise AttributeError(name)

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = gateway.fault(self.command, self.path)
            if status is not None:
                gateway.failed.append(f"{self.command} {self.path}")
                self._answer(status, {}, b"<Error><Code>SlowDown</Code></Error>")
                return
            kept = [(k, v) for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP]
            url = target_url + self.path
            answer = pool.request(
                self.command, url, body=body, headers=dict(kept), retries=False, redirect=False
            )
            self._answer(answer.status, answer.headers, answer.data)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

        def _answer(self, status: int, headers: dict, body: bytes) -> None:
            self.send_response_only(status)
            length = headers.get("Content-Length", len(body))
            for name, value in headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gateway = FaultyGateway(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
