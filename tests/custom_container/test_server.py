"""The real server, started as SageMaker starts the image, with a real model."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

DEADLINE_IN_SECONDS = 60


def until(condition, process=None):
    """Poll until `condition` holds; fail when time is up or the process has ended."""
    deadline = time.monotonic() + DEADLINE_IN_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        assert process is None or process.poll() is None, f"ended with {process.returncode}"
        time.sleep(0.02)


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A gunicorn started as the image's ENTRYPOINT, with the word `serve` that SageMaker adds."""

    def __init__(self, container_dir, model_dir, log, **environment):
        self.port = free_port()
        self.log = log
        entrypoint = re.search(
            r"^ENTRYPOINT (.*)$", (container_dir / "Dockerfile").read_text(), re.M
        )
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*json.loads(entrypoint[1]), "serve"],
                cwd=container_dir,
                env={
                    "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
                    "SM_MODEL_DIR": str(model_dir),
                    "SAGEMAKER_BIND_TO_PORT": str(self.port),
                    "SAGEMAKER_BATCH": "true",
                    **environment,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def connection(self):
        """A new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_IN_SECONDS)

    def request(self, method, path, body=None, content_type="text/plain"):
        """Status, headers and body of one request; a refused connection has status None."""
        connection = self.connection()
        try:
            connection.request(method, path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        except ConnectionRefusedError:
            return None, None, None
        finally:
            connection.close()

    def wait_until_loaded(self):
        """Ping until 200."""
        until(lambda: self.request("GET", "/ping")[0] == 200, self.process)

    def exit_code(self):
        """Wait for the end."""
        return self.process.wait(timeout=DEADLINE_IN_SECONDS)


@contextmanager
def serving(*arguments, **environment):
    """A server that is ended whatever happens."""
    server = Server(*arguments, **environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
        server.exit_code()


@pytest.fixture(scope="module")
def server(container_dir, model_dir, tmp_path_factory):
    """A loaded server shared by the tests that leave it running."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(container_dir, model_dir, log, SAGEMAKER_MAX_PAYLOAD_IN_MB="1") as server:
        server.wait_until_loaded()
        yield server


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"unpaid rent\r\n\ncustody", "text/plain"),
        (b'{"text": "unpaid rent"}\n\n{"text": "custody"}\n', "application/jsonlines"),
        (b'["unpaid rent", "", {"text": "custody"}]', "application/json"),
    ],
)
def test_every_content_type_gets_one_answer_per_record(server, body, content_type):
    """Three records in, three lines out, the empty one an error in the middle."""
    status, headers, answer = server.request("POST", "/invocations", body, content_type)
    lines = [json.loads(line) for line in answer.split(b"\n")]

    assert (status, headers["Content-Type"]) == (200, "application/jsonlines")
    assert [list(line) for line in lines] == [["predictions"], ["error"], ["predictions"]]
    assert len(lines[0]["predictions"]["top_predictions"]) == 3


def test_execution_parameters_follow_the_jobs_variables(server):
    """What the job set is offered back."""
    _, _, body = server.request("GET", "/execution-parameters")

    assert json.loads(body)["MaxPayloadInMB"] == 1


def test_a_body_beyond_the_payload_is_413_and_the_server_goes_on(server):
    """One byte more than the payload is refused, and the next request is answered."""
    assert server.request("POST", "/invocations", b"r" * (2**20 + 1))[0] == 413
    assert server.request("POST", "/invocations", b"rent")[0] == 200


def test_a_chunked_body_is_read(server):
    """A client that does not know its length in advance is answered as well."""
    connection = server.connection()
    connection.request(
        "POST", "/invocations", iter([b"re", b"nt\nwa", b"ges"]), {"Content-Type": "text/plain"}
    )

    assert len(connection.getresponse().read().split(b"\n")) == 2
    connection.close()


def test_requests_in_parallel_get_their_own_answers(server):
    """Eight requests at once are answered as each one alone."""
    bodies = [b'{"text": "rent deposit claim", "id": %d}' % number for number in range(40)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda body: json.loads(
                    server.request("POST", "/invocations", body, "application/jsonlines")[2]
                ),
                bodies,
            )
        )

    assert [answer["id"] for answer in answers] == list(range(40))


def test_sigterm_lets_a_request_in_flight_finish_and_exits_zero(container_dir, model_dir, tmp_path):
    """A request half sent when SIGTERM comes is answered, after which the server is gone."""
    with serving(container_dir, model_dir, tmp_path / "log") as server:
        server.wait_until_loaded()
        connection = server.connection()
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Type", "text/plain")
        connection.putheader("Content-Length", "11")
        connection.endheaders(b"unpaid ")
        # Answered in order: the connection above has been accepted before this one.
        assert server.request("GET", "/ping")[0] == 200

        server.process.send_signal(signal.SIGTERM)
        until(lambda: "Handling signal: term" in server.log.read_text())
        connection.send(b"rent")
        response = connection.getresponse()

        assert response.status == 200
        assert b"predicted_class" in response.read()
        assert server.exit_code() == 0


def test_a_model_that_cannot_load_ends_the_server_with_the_reason_last(
    container_dir, model_dir, tmp_path
):
    """Instead of being pinged for half an hour, the job fails at once and says why."""
    broken = shutil.copytree(model_dir, tmp_path / "model")
    (broken / "model.safetensors").unlink()

    with serving(container_dir, broken, tmp_path / "log") as server:
        assert server.exit_code() != 0

    last_line = server.log.read_text().splitlines()[-1]
    assert last_line.startswith("Cannot serve the model: ")
    assert "lacks model.safetensors" in last_line


def test_a_wrong_variable_ends_the_server_with_the_reason_last(container_dir, model_dir, tmp_path):
    """The job's Environment is checked before anything is loaded."""
    with serving(container_dir, model_dir, tmp_path / "log", TOP_K="all") as server:
        assert server.exit_code() != 0

    assert "TOP_K is 'all', expected a whole number" in server.log.read_text().splitlines()[-1]


def test_the_log_says_which_forward_pass_was_taken(server):
    """An operator can see that the fast path is in use."""
    assert "Packed forward pass" in server.log.read_text()
