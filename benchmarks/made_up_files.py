"""
A stand-in for S3 whose one-line files need no upload: each is made up when it is asked for.

Answers listings, reads of whole files and writes of shards over HTTP, and counts how often each
file's document came in a shard. Knows path-style addresses of one bucket; checks no signatures.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from urllib.parse import parse_qs, urlsplit

ENTITY_TAG = '"0123456789abcdef0123456789abcdef"'
_ENTRIES_A_PAGE = 1000


class MadeUpFiles:
    """So many files of one line; *times_packed* has a byte for each, its count in all shards."""

    def __init__(self, count: int, text: str) -> None:
        self.times_packed = bytearray(count)
        self.endpoint_url = ""
        self._text = text

    def environment(self) -> dict[str, str]:
        """Return the variables by which any AWS client finds these files."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def body(self, number: int) -> bytes:
        """Return what one of the files holds."""
        return f"{self._text} Case {number}.\n".encode()

    def answer(self, method: str, target: str, body: bytes) -> bytes:
        """Return the body with which S3 would answer; count the documents of a shard."""
        path = urlsplit(target)
        if method == "PUT":
            for line in body.splitlines():
                self.times_packed[_number_in(json.loads(line)["source"])] += 1
            return b""
        query = parse_qs(path.query)
        if "list-type" in query:
            return self._page(int(query.get("continuation-token", ["0"])[0]))
        return self.body(_number_in(path.path))

    def _page(self, first: int) -> bytes:
        behind = min(first + _ENTRIES_A_PAGE, len(self.times_packed))
        entries = "".join(
            f"<Contents><Key>input/2026-07/complaint-{number:09d}.txt</Key><ETag>{ENTITY_TAG}</ETag>"
            f"<Size>{len(self.body(number))}</Size></Contents>"
            for number in range(first, behind)
        )
        more = behind < len(self.times_packed)
        token = f"<NextContinuationToken>{behind}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}"
            "</ListBucketResult>"
        ).encode()


@contextmanager
def made_up_files(count: int, text: str) -> Iterator[MadeUpFiles]:
    """Serve the files on a free port for as long as the block lasts."""
    files = MadeUpFiles(count, text)
    with asyncio.Runner() as runner:
        server = runner.run(asyncio.start_server(partial(_serve, files), "127.0.0.1", 0))
        files.endpoint_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        thread = threading.Thread(target=runner.get_loop().run_forever)
        thread.start()
        try:
            yield files
        finally:
            runner.get_loop().call_soon_threadsafe(runner.get_loop().stop)
            thread.join()
            server.close()


async def _serve(
    files: MadeUpFiles, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer the requests of one connection, one after the other, until it is closed."""
    with suppress(asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"100-continue" in head:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
            answer = files.answer(method, target, body)
            status = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\nETag: {ENTITY_TAG}"
            writer.write(f"{status}\r\n\r\n".encode() + answer)
    writer.close()


def _number_in(name: str) -> int:
    return int(name.rpartition("-")[2].removesuffix(".txt"))
