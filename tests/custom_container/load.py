"""Load on the real server: mixed requests at saturation, for as long as is asked.

`python -m tests.custom_container.load --minutes 30` starts the server on a model, prints what it
saw as a table with a verdict on each figure that has a limit, and exits 1 if one was passed. The
tests run it for seconds.
"""

import argparse
import gzip
import http.client
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

from tests.custom_container.container_server import Server, serving

ROOT = Path(__file__).parents[2]
DEMONSTRATION_MODEL = ROOT / "modernbert_dispute_classifier" / "final"
# As many as the server has threads for invocations, and two more than it serves at once.
CLIENTS = 10
MAX_MEMORY_CHANGE = 0.05
MAX_P99_OF_MEDIAN = 3
FAILURES_SHOWN = 10
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


@dataclass(frozen=True)
class Finding:
    """One line of the table: a figure as it is shown and, where it has a limit, the verdict."""

    what: str
    measured: str
    limit: str = ""
    holds: bool | None = None

    def __str__(self) -> str:
        """The line."""
        verdict = {None: "", True: "ok", False: "FAILED"}[self.holds]
        return f"{self.what:32} {self.measured:>26} {self.limit:>8}  {verdict}".rstrip()


@dataclass
class Load:
    """What was seen of a server under load; its lists are appended to by many threads."""

    seconds_of: list[tuple[str, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    memory_in_bytes: list[int] = field(default_factory=list)

    def send(self, server: Server, request: Request) -> None:
        """Send a request and note how it went."""
        started = time.monotonic()
        try:
            status, _, answer = server.request(
                "POST",
                "/invocations",
                request.body,
                request.content_type,
                request.content_encoding,
            )
        except (OSError, http.client.HTTPException) as error:
            status, answer = None, repr(error).encode()
        self.seconds_of.append((request.kind, time.monotonic() - started))
        if status != 200 or len(answer.split(b"\n")) != request.lines:
            self.failures.append(f"{request.kind}: {status} {(answer or b'')[:200]!r}")

    def memory_by_quarter(self) -> list[float]:
        """The median of each quarter of the time, in bytes; the first one is the warm-up."""
        ends = [len(self.memory_in_bytes) * quarter // 4 for quarter in range(5)]
        return [median(self.memory_in_bytes[start:end]) for start, end in pairwise(ends)]

    def memory_change(self) -> float:
        """How far memory moved after the warm-up, up or down, as a share of the second quarter."""
        _, before, *after = self.memory_by_quarter()
        return max((quarter / before - 1 for quarter in after), key=abs)

    def findings(self) -> list[Finding]:
        """All of it, in figures and verdicts."""
        equal = [seconds for kind, seconds in self.seconds_of if kind == EQUAL.kind]
        p99_in_medians = quantiles(equal, n=100)[-1] / median(equal)
        mebibytes = [f"{quarter / 2**20:,.0f}" for quarter in self.memory_by_quarter()]
        change = self.memory_change()
        counts = Counter(kind for kind, _ in self.seconds_of)
        return [
            *(Finding(f"requests, {kind}", f"{count:,}") for kind, count in counts.items()),
            Finding("requests that failed", f"{len(self.failures):,}", "0", not self.failures),
            Finding("memory by quarter, MiB", " ".join(mebibytes)),
            Finding(
                "memory change after warm-up",
                f"{change:+.1%}",
                f"{MAX_MEMORY_CHANGE:.0%}",
                abs(change) <= MAX_MEMORY_CHANGE,
            ),
            Finding("equal requests, median, s", f"{median(equal):.3f}"),
            Finding(
                "equal requests, p99 / median",
                f"{p99_in_medians:.2f}",
                f"{MAX_P99_OF_MEDIAN}",
                p99_in_medians <= MAX_P99_OF_MEDIAN,
            ),
        ]


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
    print(f"{CLIENTS} clients, {arguments.minutes:g} minutes …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with serving(ROOT / "custom_container", arguments.model_dir, log) as server:
            server.wait_until_loaded()
            load = put_load(server, arguments.minutes * 60)
    findings = load.findings()
    print(*findings, sep="\n")
    print(*load.failures[:FAILURES_SHOWN], sep="\n", file=sys.stderr)
    return 1 if any(finding.holds is False for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
