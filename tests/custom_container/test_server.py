"""The real server, started as SageMaker starts the image, with a real model."""

import json
import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.custom_container.container_server import serving, until


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


def test_a_header_for_proxies_changes_no_route(server):
    """SCRIPT_NAME would part the path: nothing stands before the container that may say so."""
    connection = server.connection()
    connection.request("GET", "/ping", headers={"SCRIPT_NAME": "/ping"})

    assert connection.getresponse().status == 200
    connection.close()


def test_an_empty_content_type_names_none(server):
    """A job need not name one: its body is text then, as where the header is absent."""
    assert server.request("POST", "/invocations", b"rent", content_type="")[0] == 200


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


def test_sigterm_while_a_request_is_stuck_tells_of_the_job_and_exits_zero(
    container_dir, model_dir, tmp_path
):
    """What the worker did is told before the server's patience ends and it is killed."""
    patience = {"GUNICORN_CMD_ARGS": "--graceful-timeout 3"}
    with serving(container_dir, model_dir, tmp_path / "log", **patience) as server:
        server.wait_until_loaded()
        stuck = server.connection()
        stuck.putrequest("POST", "/invocations")
        stuck.putheader("Content-Length", "11")
        stuck.endheaders(b"unpaid ")
        assert server.request("GET", "/ping")[0] == 200

        server.process.send_signal(signal.SIGTERM)

        assert server.exit_code() == 0
        stuck.close()
    assert '{"job": "ended"' in server.log.read_text()


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

    (line,) = server.log.read_text().splitlines()
    assert line.startswith("Cannot start with this environment: TOP_K is 'all', expected a whole")


def test_the_log_says_on_what_and_how_the_model_runs(server):
    """An operator can see the device, the precision, the path, and that it is the fast one."""
    log = server.log.read_text()
    for told in (
        r"^Device: .+\.$",
        r"^Packed forward pass: ",
        r"^Attention by .+\.$",
        r"^Precision (fp32|bf16): ",
        r"^Micro-batches of up to [1-9]\d* tokens\.$",
    ):
        assert re.search(told, log, re.MULTILINE), told
