"""What goes wrong around a server: lost workers, lost clients, slow ones, and bodies of any kind.

The server answers or refuses each, and goes on.
"""

import gzip
import json
import os
import select
import signal
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.custom_container.container_server import serving, until

PAYLOAD_IN_BYTES = 2**20
PING_LIMIT_IN_SECONDS = 2
# Enough work that a fault surely falls into it.
LONG_BODY = b"the landlord of the tenant and the rent\n" * 20_000


@pytest.fixture(scope="module")
def server(container_dir, model_dir, tmp_path_factory):
    """A loaded server for payloads of 1 MB, which every test here must leave in working order."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(container_dir, model_dir, log, SAGEMAKER_MAX_PAYLOAD_IN_MB="1") as server:
        server.wait_until_loaded()
        yield server
        assert answers(server, b"rent") == 1


def answers(server, body, content_type="text/plain"):
    """How many records were answered."""
    status, _, answer = server.request("POST", "/invocations", body, content_type)
    assert status == 200, answer
    return len(answer.split(b"\n"))


def invocations(server):
    """What the log tells of invocations."""
    lines = server.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"status"')]


def send_head(server, length, *headers):
    """A raw connection on which the head of an invocation was sent."""
    return _send_head(
        server, f"Content-Length: {length}", *(headers or ("Content-Type: text/plain",))
    )


def send_chunks(server, body):
    """A raw connection on which an invocation was sent whose body is to come in chunks."""
    connection = _send_head(server, "Transfer-Encoding: chunked", "Content-Type: text/plain")
    connection.sendall(body)
    return connection


def _send_head(server, *headers):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = ("POST /invocations HTTP/1.1", "Host: localhost", *headers, "", "")
    connection.sendall("\r\n".join(head).encode())
    return connection


def send_what_is_taken(connection, body):
    """Send until the other end takes no more for a while; tell how many bytes it took."""
    connection.setblocking(False)
    length = 0
    while length < len(body) and select.select([], [connection], [], 0.3)[1]:
        length += connection.send(body[length:])
    connection.setblocking(True)
    return length


def everything(connection):
    """What comes until the other end closes."""
    with connection:
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


def test_a_worker_killed_in_mid_request_is_replaced_and_the_retry_answered(
    container_dir, model_dir, tmp_path
):
    """The job sees no half of a response; its retry waits for the new worker's model."""
    with serving(container_dir, model_dir, tmp_path / "log") as server:
        server.wait_until_loaded()
        connection = send_head(server, len(LONG_BODY))
        connection.sendall(LONG_BODY)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)

        try:
            received = everything(connection)
        except ConnectionResetError:
            received = b""
        assert received == b""
        assert answers(server, b"rent\nwages") == 2


def test_a_request_whose_client_has_gone_is_given_up(server):
    """The device does not compute what nobody will read."""
    connection = send_head(server, len(LONG_BODY))
    connection.sendall(LONG_BODY)
    connection.close()

    until(lambda: any(line["status"] == 499 for line in invocations(server)), server.process)


def test_a_slow_client_delays_nobody(server):
    """While one body comes byte by byte, others are answered; in the end it is, too."""
    connection = send_head(server, 4, "Content-Type: text/plain", "Connection: close")
    for byte in (b"r", b"e", b"n"):
        connection.sendall(byte)
        assert answers(server, b"wages") == 1
    connection.sendall(b"t")

    assert everything(connection).startswith(b"HTTP/1.1 200")


def test_a_body_that_ends_early_is_refused(server):
    """Half a body is not classified as if it were whole."""
    connection = send_head(server, 100)
    connection.sendall(b"rent and")
    connection.shutdown(socket.SHUT_WR)

    assert everything(connection).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("length", ["-1", "abc", "1e3"])
def test_a_length_that_is_none_is_refused(server, length):
    """The request ends there: nobody knows where its body would."""
    assert everything(send_head(server, length)).startswith(b"HTTP/1.1 400")


def test_a_body_longer_than_it_says_is_not_taken_for_a_record(server):
    """What follows the body is the next request, and none at all."""
    connection = send_head(server, 4)
    connection.sendall(b"rentSURPLUS\r\n\r\n")
    received = everything(connection)

    assert received.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 400" in received
    assert "SURPLUS" not in server.log.read_text()


@pytest.mark.parametrize(
    "body",
    [b"SURPLUS\r\n", b"4\r\nSURPLUS\r\n", b"4\r\nrent\r\nSURPLUS\r\n", b"4\r\nrent", b"9\r\nrent"],
)
def test_chunks_that_are_none_are_refused(server, body):
    """As the client's mistake, without a traceback or a word of the body in the log."""
    connection = send_chunks(server, body)
    connection.shutdown(socket.SHUT_WR)
    received = everything(connection)

    assert received.startswith(b"HTTP/1.1 400")
    assert b"UnreadableRequest" in received
    assert "SURPLUS" not in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_the_connection_of_a_refused_request_serves_the_next_one(server):
    """The body of the refused one is read first, however long it is."""
    body = b"r" * 500_000
    refused = send_head(server, len(body), "Content-Type: text/plain", "Accept: text/html")
    refused.sendall(body + b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    received = everything(refused)

    assert received.startswith(b"HTTP/1.1 406")
    assert b"HTTP/1.1 200" in received


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_body_far_too_large_is_refused_and_not_cut_off(server, in_chunks):
    """A client that first sends all of it would otherwise see a broken connection, and no 413."""
    body = b"r" * (16 * PAYLOAD_IN_BYTES)
    connection = server.connection()
    connection.request("POST", "/invocations", iter([body]) if in_chunks else body)
    refused = connection.getresponse()
    assert (refused.status, b"PayloadTooLarge" in refused.read()) == (413, True)

    connection.request("GET", "/ping")
    assert connection.getresponse().status == 200
    connection.close()


PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_no_part_of_a_refused_body_is_taken_for_a_request(server):
    """Though all of it reads like requests, only the one behind it is answered."""
    body = PING * (2 * PAYLOAD_IN_BYTES // len(PING))
    connection = send_head(server, len(body))
    connection.sendall(body + PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    received = everything(connection)

    assert received.startswith(b"HTTP/1.1 413")
    assert received.count(b"HTTP/1.1 200") == 1


def test_a_body_compressed_by_its_transfer_encoding_is_refused(server):
    """Nobody would decompress it, and its bytes would be taken for documents."""
    connection = _send_head(server, "Transfer-Encoding: gzip, chunked", "Content-Type: text/plain")
    connection.sendall(b"4\r\nrent\r\n0\r\n\r\n")

    assert everything(connection).startswith(b"HTTP/1.1 415")


def test_slow_invocations_keep_no_ping_waiting(server):
    """However many clients send half of a body, or of a head, and nothing more."""
    slow = [send_head(server, 100) for _ in range(20)]
    for _ in range(20):
        slow.append(socket.create_connection(("127.0.0.1", server.port)))
        slow[-1].sendall(b"POST /invoc")
    begun = time.monotonic()
    status, _, _ = server.request("GET", "/ping")
    took = time.monotonic() - begun
    for connection in slow:
        connection.close()

    assert (status, took < PING_LIMIT_IN_SECONDS) == (200, True)


def test_idle_connections_hold_no_thread(server):
    """Clients that open connections ahead of need are many more than threads, and delay nobody."""
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    begun = time.monotonic()
    status, _, _ = server.request("GET", "/ping")
    took = time.monotonic() - begun
    idle[50].sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert (status, took < PING_LIMIT_IN_SECONDS) == (200, True)
    assert everything(idle[50]).startswith(b"HTTP/1.1 200")
    for connection in idle:
        connection.close()


def test_bodies_wait_with_their_clients_while_every_thread_is_busy(
    container_dir, model_dir, tmp_path
):
    """The server reads no more of them than it has threads, and each is answered in the end."""
    body = b'"rent"'.ljust(8 * 2**20)
    threads = 2 + 1  # for one transform at a time
    environment = {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "8", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1"}
    with serving(container_dir, model_dir, tmp_path / "log", **environment) as server:
        server.wait_until_loaded()
        head = ("Content-Type: application/json", "Connection: close")
        read = [send_head(server, len(body), *head) for _ in range(threads)]
        for connection in read:
            connection.sendall(body[:-1])
        waiting = [send_head(server, len(body), *head) for _ in range(5)]
        sent = [send_what_is_taken(connection, body) for connection in waiting]
        for connection in read:
            connection.sendall(body[-1:])
        for connection, length in zip(waiting, sent, strict=True):
            connection.sendall(body[length:])
        statuses = [everything(connection)[:12] for connection in read + waiting]

    assert max(sent) < len(body)
    assert statuses == [b"HTTP/1.1 200"] * 8


def test_a_payload_of_exactly_the_limit_and_one_byte_more(server):
    """MaxPayloadInMB is answered; one byte more is refused, whether announced or found out."""
    assert answers(server, b"rent\n".ljust(PAYLOAD_IN_BYTES)) == 2
    assert server.request("POST", "/invocations", bytes(PAYLOAD_IN_BYTES + 1))[0] == 413
    chunks = iter([b" " * PAYLOAD_IN_BYTES, b"r"])
    assert server.request("POST", "/invocations", chunks)[0] == 413


def test_ten_thousand_bad_records_among_good_ones(server):
    """Each has its own line, and every good one its answer."""
    lines = [b'{"text": "rent"}' if number % 11 == 0 else b"{bad" for number in range(11_000)]

    _, _, answer = server.request(
        "POST", "/invocations", b"\n".join(lines), "application/jsonlines"
    )

    kinds = [next(iter(json.loads(line))) for line in answer.split(b"\n")]
    assert kinds == ["predictions" if line != b"{bad" else "error" for line in lines]


def test_a_damaged_gzip_is_refused(server):
    """The job is told, instead of given answers to half of its records."""
    damaged = gzip.compress(LONG_BODY)[:-20]
    connection = send_head(
        server,
        len(damaged),
        "Content-Type: text/plain",
        "Content-Encoding: gzip",
        "Connection: close",
    )
    connection.sendall(damaged)

    assert everything(connection).startswith(b"HTTP/1.1 400")


CONTENT_TYPES = ["text/plain", "application/jsonlines", "application/json", "text/csv"]


@settings(max_examples=500)
@given(
    st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8")),
    st.sampled_from(CONTENT_TYPES),
)
def test_five_hundred_bodies_of_any_bytes_are_answered_or_refused(server, body, content_type):
    """Never a failure of ours; a body divided by lines has as many answers as lines."""
    status, _, answer = server.request("POST", "/invocations", body, content_type)

    assert status in (200, 400)
    if content_type in ("text/plain", "application/jsonlines") and body:
        lines = body.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n")
        assert status == 200
        assert len(answer.split(b"\n")) == len(lines)
