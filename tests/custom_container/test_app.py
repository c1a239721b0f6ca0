"""The HTTP contract, with a classifier that needs no model."""

import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from app import create_app
from src.background_model import BackgroundModel
from src.classifier import Classification
from src.settings import Settings

SETTINGS = replace(Settings.from_environment({}), max_payload_in_mb=1)


class EchoClassifier:
    """Predicts each document's first word."""

    def classify(self, texts):
        """One prediction per text, one token each."""
        if any("explode" in text for text in texts):
            raise RuntimeError("secret detail")
        return Classification([{"predicted_class": t.split()[0]} for t in texts], len(texts), 1)


class Server:
    """A test client, the log it writes and the model behind it."""

    def __init__(self):
        self.log = io.StringIO()
        self.failures = []
        self.model = BackgroundModel(EchoClassifier)
        app = create_app(SETTINGS, self.model, log=self.log, clock=iter(range(1000)).__next__)
        self.client = app.test_client()

    def load(self):
        """Load the model and wait for it."""
        self.model.start_loading(self.failures.append).join()

    def invoke(self, body, content_type="text/plain", **headers):
        """POST /invocations."""
        return self.client.post(
            "/invocations", data=body, content_type=content_type, headers=headers
        )


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
    ],
)
def test_each_content_type_is_answered_with_one_line_per_record(server, body, content_type):
    """Whatever the input's form, the answer is JSON lines without a last newline."""
    response = server.invoke(body, content_type)

    assert response.status_code == 200
    assert response.content_type == "application/jsonlines"
    assert response.data == (
        b'{"predictions": {"predicted_class": "rent"}}\n'
        b'{"predictions": {"predicted_class": "wages"}}'
    )


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
        (b"rent", "image/png", "*/*", (415, "UnsupportedContentType")),
        (b"rent", "text/plain; charset=latin-1", "*/*", (415, "UnsupportedContentType")),
        (b"r" * (2**20 + 1), "text/plain", "*/*", (413, "PayloadTooLarge")),
        (b"explode", "text/plain", "*/*", (500, "InternalError")),
    ],
)
def test_each_refusal_has_its_status(server, body, content_type, accept, refusal):
    """The one table from errors to statuses."""
    response = server.invoke(body, content_type, Accept=accept)

    assert (response.status_code, error_code(response)) == refusal


def test_a_refusal_is_in_the_log_too(server, caplog):
    """An operator reads there what SageMaker does not pass on."""
    server.invoke(b"rent", "image/png")

    assert "Answered 415: Cannot read a body of content type 'image/png'" in caplog.text


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
    """404 and 405 have the same form as every refusal."""
    assert error_code(server.client.get("/nothing")) == "NotFound"
    assert error_code(server.client.get("/invocations")) == "MethodNotAllowed"


def test_one_log_line_per_invocation_without_its_text(server):
    """Counts and time are logged; what the documents say is not."""
    server.invoke(b"rent\n\nconfidential matter")

    assert json.loads(server.log.getvalue()) == {
        "records": 3,
        "failed": 1,
        "tokens": 2,
        "micro_batches": 1,
        "milliseconds": 1000,
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
