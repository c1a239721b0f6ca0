"""Load on the real server: mixed requests at saturation, for as long as is asked.

`python -m tests.custom_container.load --minutes 30` starts the server on a model, prints what it
saw as one JSON object, and exits 1 if a request failed, memory grew, or equal requests were served
too unequally. The tests run it for seconds.
"""

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from tests.custom_container.container_server import Server, serving

ROOT = Path(__file__).parents[2]
DEMONSTRATION_MODEL = ROOT / "modernbert_dispute_classifier" / "final"
# As many as the server has threads for invocations, and two more than it serves at once.
CLIENTS = 10
MAX_MEMORY_GROWTH = 0.05
MAX_P99_OF_MEDIAN = 3
# Some 1,500 tokens: more than 99 in 100 of the complaints that benchmarks/documents.py describes.
SENTENCES_OF_A_LONG_DOCUMENT = 100
SENTENCE = "The landlord has kept the deposit of the tenant, who claims it back. "


@dataclass(frozen=True)
class Request:
    """A body, and how many lines its answer must have."""

    kind: str
    body: bytes
    content_type: str
    lines: int
    content_encoding: str = "identity"


def _text(kind: str, lengths_in_sentences: list[int]) -> Request:
    documents = [SENTENCE * length for length in lengths_in_sentences]
    return Request(kind, "\n".join(documents).encode(), "text/plain", len(documents))


# The same every time: what its clients wait for tells how fair the server is.
EQUAL = _text("equal", [3] * 4)


def mixed_request(choose: random.Random) -> Request:
    """One of the requests that a job may send, large and small, good and bad."""
    count = choose.choice([2, 10, 40])
    many = _text("many", [choose.choice([1, 2, 8]) for _ in range(count)])
    rows = b"id,text\n" + b"\n".join(b"%d,rent" % number for number in range(count))
    records = b"\n".join([b'{"text": "unpaid rent"}', b"{broken", b""] * count)
    return choose.choice(
        [
            EQUAL,
            EQUAL,
            _text("one", [1]),
            _text("long", [SENTENCES_OF_A_LONG_DOCUMENT]),
            many,
            Request("compressed", gzip.compress(many.body), many.content_type, many.lines, "gzip"),
            Request("table", rows, "text/csv", count),
            Request("bad records", records, "application/jsonlines", 3 * count - 1),
        ]
    )


@dataclass
class Load:
    """What was seen of a server under load."""

    requests: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds_of_equal_requests: list[float] = field(default_factory=list)
    memory_in_bytes: list[int] = field(default_factory=list)

    def send(self, server: Server, request: Request) -> None:
        """Send a request and note how it went."""
        started = time.monotonic()
        status, _, answer = server.request(
            "POST", "/invocations", request.body, request.content_type, request.content_encoding
        )
        if status != 200 or len(answer.split(b"\n")) != request.lines:
            self.failures.append(f"{request.kind}: {status} {(answer or b'')[:200]!r}")
        if request is EQUAL:
            self.seconds_of_equal_requests.append(time.monotonic() - started)
        self.requests[request.kind] += 1

    def memory_growth(self) -> float:
        """How much more memory is used in the last quarter than in the second, as a share."""
        quarter = len(self.memory_in_bytes) // 4
        before = median(self.memory_in_bytes[quarter : 2 * quarter])
        return median(self.memory_in_bytes[-quarter:]) / before - 1

    def p99_of_median(self) -> float:
        """The 99th percentile of equal requests' times, in medians."""
        p99 = quantiles(self.seconds_of_equal_requests, n=100)[-1]
        return p99 / median(self.seconds_of_equal_requests)

    def summary(self) -> dict[str, object]:
        """All of it, in figures."""
        return {
            "requests": dict(self.requests),
            "failures": self.failures[:10],
            "failed": len(self.failures),
            "equal_requests_median_in_seconds": round(median(self.seconds_of_equal_requests), 3),
            "equal_requests_p99_in_medians": round(self.p99_of_median(), 2),
            "memory_in_mib": round(median(self.memory_in_bytes) / 2**20),
            "memory_growth": round(self.memory_growth(), 3),
        }


def put_load(server: Server, seconds: float, sleep: Callable[[float], None] = time.sleep) -> Load:
    """Keep CLIENTS clients busy for some seconds, while the server's memory is watched."""
    load = Load()
    deadline = time.monotonic() + seconds

    def keep_busy(seed: int) -> None:
        choose = random.Random(seed)  # noqa: S311
        while time.monotonic() < deadline:
            load.send(server, mixed_request(choose))

    with ThreadPoolExecutor(CLIENTS) as clients:
        busy = [clients.submit(keep_busy, seed) for seed in range(CLIENTS)]
        while not all(client.done() for client in busy):
            load.memory_in_bytes.append(server.memory_in_bytes())
            sleep(0.25)
    for client in busy:
        client.result()
    return load


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--model-dir", type=Path, default=DEMONSTRATION_MODEL)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with serving(ROOT / "custom_container", arguments.model_dir, log) as server:
            server.wait_until_loaded()
            load = put_load(server, arguments.minutes * 60)
    print(json.dumps(load.summary(), indent=2))
    is_good = (
        not load.failures
        and load.memory_growth() <= MAX_MEMORY_GROWTH
        and load.p99_of_median() <= MAX_P99_OF_MEDIAN
    )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
