"""The HTTP contract, with a classifier that needs no model."""

import gzip
import io
import json
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from app import create_app
from src.background_model import BackgroundModel
from src.classifier import Classification
from src.errors import ClientGone
from src.settings import Settings

SETTINGS = replace(Settings.from_environment({}), max_payload_in_mb=1)


def prediction(label):
    """What a classifier that is sure of `label` answers."""
    return {"predicted_class": label, "top_predictions": [{"class": label, "score": 1.0}]}


class EchoClassifier:
    """Predicts each document's first word."""

    def classify(self, texts, is_wanted):
        """One prediction per text, one token each."""
        if not is_wanted():
            raise ClientGone("gone")
        if any("explode" in text for text in texts):
            raise RuntimeError("secret detail")
        predictions = [prediction(text.split()[0]) for text in texts]
        return Classification(predictions, missing=0, tokens=len(texts), micro_batches=1)


class Server:
    """A test client, the log it writes and the model behind it."""

    def __init__(self):
        self.log = io.StringIO()
        self.failures = []
        self.model = BackgroundModel(EchoClassifier)
        app = create_app(
            SETTINGS,
            self.model,
            log=self.log,
            clock=iter(range(1000)).__next__,
            patience_in_seconds=0,
        )
        self.client = app.test_client()

    def load(self):
        """Load the model and wait for it."""
        self.model.start_loading(self.failures.append).join()

    def invoke(self, body, content_type="text/plain", environ=None, **headers):
        """POST /invocations."""
        return self.client.post(
            "/invocations",
            data=body,
            content_type=content_type,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            environ_base=environ or {},
        )

    def log_lines(self):
        """What was logged."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@pytest.fixture
def server():
    """A server whose model is loaded."""
    server = Server()
    server.load()
    return server


def error_code(response):
    """The code in an error body."""
    return response.json["error"]["code"]


def test_ping_is_503_until_the_model_is_loaded_and_then_empty_200():
    """SageMaker waits for a 200 and asks no more of it."""
    server = Server()
    before = server.client.get("/ping").status_code
    server.load()
    after = server.client.get("/ping")

    assert (before, after.status_code, after.data) == (503, 200, b"")


def test_an_invocation_before_the_model_is_loaded_is_503():
    """A request that comes too early may be tried again."""
    response = Server().invoke(b"rent")

    assert (response.status_code, error_code(response)) == (503, "ModelLoading")


def test_a_body_is_read_even_if_the_model_is_not_there():
    """Who still sends would see a broken connection instead of the 503."""
    body = io.BytesIO(b"rent")
    response = Server().client.post("/invocations", input_stream=body, content_length=4)

    assert (response.status_code, body.read()) == (503, b"")


def test_a_model_that_cannot_load_is_reported_once_with_its_reason():
    """The one who started loading is told, and /ping never turns 200."""
    failures = []
    model = BackgroundModel(lambda: 1 / 0)

    model.start_loading(failures.append).join()

    assert [type(failure) for failure in failures] == [ZeroDivisionError]
    assert not model.is_loaded


def test_execution_parameters_in_sagemakers_words(server):
    """Names and spelling are those of the container contract."""
    assert server.client.get("/execution-parameters").json == {
        "MaxConcurrentTransforms": 8,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 1,
    }


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"rent\nwages\n", "text/plain"),
        (b'{"text": "rent"}\n{"text": "wages"}', "application/jsonlines"),
        (b'["rent", "wages"]', "application/json"),
        (b"text\nrent\nwages\n", "text/csv"),
        ("rent\nwages".encode("utf-16"), "text/plain; charset=utf-16"),
    ],
)
def test_each_content_type_is_answered_with_one_line_per_record(server, body, content_type):
    """Whatever the input's form, the answer is JSON lines without a last newline."""
    response = server.invoke(body, content_type)

    assert response.status_code == 200
    assert response.content_type == "application/jsonlines"
    lines = [json.loads(line) for line in response.data.split(b"\n")]
    assert lines == [{"predictions": prediction("rent")}, {"predictions": prediction("wages")}]


def test_an_empty_body_is_answered_with_an_empty_body(server):
    """An empty object must not fail its job."""
    response = server.invoke(b"")

    assert (response.status_code, response.data) == (200, b"")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/jsonlines"),
        ("application/*", "application/jsonlines"),
        ("application/json", "application/json"),
        ("text/html, application/json;q=0.5", "application/json"),
        ("application/json;q=0.5, text/csv;q=0.9", "text/csv"),
        ("application/json; charset=UTF-8", "application/json"),
        ('text/csv;charset="utf-8";q=0.5, application/json;q=0.4', "text/csv"),
    ],
)
def test_the_answer_is_of_an_accepted_type(server, accept, content_type):
    """Wildcards and weights are honoured."""
    response = server.invoke(b"rent", Accept=accept)

    assert (response.status_code, response.content_type) == (200, content_type)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "refusal"),
    [
        (b"{", "application/json", "*/*", (400, "UnreadableRequest")),
        (b"rent", "text/plain", "text/html", (406, "NotAcceptable")),
        (b"rent", "text/plain", "text/csv; charset=utf-16", (406, "NotAcceptable")),
        (b"rent", "image/png", "*/*", (415, "UnsupportedContentType")),
        (b"rent", "text/plain; charset=ebcdic", "*/*", (415, "UnsupportedContentType")),
        (b"line\n1", "text/csv", "*/*", (400, "UnreadableRequest")),
        (b"r" * (2**20 + 1), "text/plain", "*/*", (413, "PayloadTooLarge")),
        (b"explode", "text/plain", "*/*", (500, "InternalError")),
    ],
)
def test_each_refusal_has_its_status(server, body, content_type, accept, refusal):
    """The one table from errors to statuses."""
    response = server.invoke(body, content_type, Accept=accept)

    assert (response.status_code, error_code(response)) == refusal


def test_a_refusal_is_in_the_log_too(server):
    """An operator reads there what SageMaker does not pass on."""
    server.invoke(b"rent", "image/png")

    (line,) = server.log_lines()
    assert (line["status"], line["code"]) == (415, "UnsupportedContentType")
    assert line["message"].startswith("Cannot read a body of content type 'image/png'")


def test_a_compressed_body_is_read(server):
    """Content-Encoding says how the body was compressed."""
    response = server.invoke(gzip.compress(b"rent\nwages"), Content_Encoding="gzip")

    assert response.status_code == 200
    assert len(response.data.splitlines()) == 2


def test_a_small_body_that_becomes_too_large_is_413(server):
    """The job's payload bounds what is decompressed."""
    bomb = gzip.compress(bytes(2**20 + 1))

    assert server.invoke(bomb, Content_Encoding="gzip").status_code == 413


def test_a_client_that_has_gone_is_seen_on_its_connection(server):
    """While it waits it is served; once it has closed, its request is given up."""
    ours, clients = socket.socketpair()
    waiting = server.invoke(b"rent", environ={"gunicorn.socket": ours})
    clients.close()
    gone = server.invoke(b"rent", environ={"gunicorn.socket": ours})
    ours.close()

    assert (waiting.status_code, gone.status_code) == (200, 499)


def test_a_payload_of_exactly_the_limit_is_read(server):
    """MaxPayloadInMB counts megabytes of 1,048,576 bytes."""
    assert server.invoke(b"r" * 2**20).status_code == 200


def test_a_failure_of_ours_tells_the_log_and_not_the_caller(server, caplog):
    """The traceback is in the log; the body holds none of it."""
    response = server.invoke(b"explode")

    assert "secret detail" not in response.text
    assert "Traceback" not in response.text
    assert "secret detail" in caplog.text


def test_other_paths_and_methods_are_refused_in_json(server):
    """404 and 405 have the same form as every refusal, and are no invocations for the log."""
    refusal = server.client.get("/nothing")
    assert error_code(refusal) == "NotFound"
    assert "POST /invocations" in refusal.json["error"]["message"]
    assert error_code(server.client.get("/invocations")) == "MethodNotAllowed"
    assert server.log_lines() == []


def test_one_log_line_per_invocation_without_its_text(server):
    """Counts and time are logged; what the documents say is not."""
    server.invoke(b"rent\n\nconfidential matter")

    assert server.log_lines() == [
        {
            "status": 200,
            "records": 3,
            "failed": 1,
            "tokens": 2,
            "micro_batches": 1,
            "milliseconds": 1000,
        }
    ]


def test_the_job_is_summed_up_at_its_end(server):
    """All invocations together, by what became of them."""
    server.invoke(b"rent\nwages")
    server.invoke(b"\nrent")
    server.invoke(b"rent", "image/png")
    server.client.application.extensions["invocation_log"].job_ended()

    totals = server.log_lines()[-1]
    assert totals.pop("seconds") > 0
    assert totals == {
        "job": "ended",
        "invocations": 3,
        "status_200": 2,
        "status_415": 1,
        "records": 4,
        "failed": 1,
        "tokens": 3,
    }


def test_importing_the_app_does_not_import_torch(container_dir):
    """The server answers /ping while torch is still being imported by the loading thread."""
    outcome = subprocess.run(
        [sys.executable, "-c", "import app, sys; sys.exit('torch' in sys.modules)"],
        cwd=container_dir,
        timeout=60,
        check=False,
    )

    assert outcome.returncode == 0
