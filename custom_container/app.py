"""The HTTP of SageMaker's container contract: routes, status codes, one log line an invocation.

Knows nothing of models: a request is input_fn, predict_fn, output_fn. gunicorn imports this
module in its worker, so that nothing is loaded before the fork.
"""

import re
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from flask import Flask, Response, g, jsonify, request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from src.background_model import BackgroundModel
from src.content_encoding import BYTES_PER_MB, decoded_body
from src.devices import given_gpus
from src.errors import (
    ClientGone,
    ModelLoading,
    NotAcceptable,
    PayloadTooLarge,
    UnreadableRequest,
    UnsupportedContentType,
)
from src.inference import input_fn, model_fn, output_fn, predict_fn
from src.invocation_log import InvocationLog
from src.records import TEXT, WRITERS
from src.settings import MAX_CONCURRENT_PAYLOAD_IN_MB, Settings

# SageMaker invokes only after a good /ping, so who asks while the model loads asks a worker that
# follows a lost one, and its few retries would be spent long before the model is there.
PATIENCE_IN_SECONDS = 300
# The largest payload of any job; a refused body is read so far, and not kept.
LARGEST_PAYLOAD_IN_BYTES = MAX_CONCURRENT_PAYLOAD_IN_MB * BYTES_PER_MB
UTF_8_PARAMETER = re.compile(r';\s*charset="?utf-8"?', re.IGNORECASE)
STATUS_CODES: dict[type[Exception], int] = {
    UnreadableRequest: 400,
    NotAcceptable: 406,
    PayloadTooLarge: 413,
    UnsupportedContentType: 415,
    ClientGone: 499,  # for the log: nobody reads it
    ModelLoading: 503,
}


def create_app(
    settings: Settings,
    model: BackgroundModel,
    log: TextIO = sys.stdout,
    clock: Callable[[], float] = time.perf_counter,
    patience_in_seconds: float = PATIENCE_IN_SECONDS,
) -> Flask:
    """The server around `model`.

    The caller starts to load `extensions["model"]` and ends `extensions["invocation_log"]`.
    """
    app = Flask(__name__)
    # One byte more than is allowed: of a body of unknown length, Flask reads so much and no more.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_payload_in_mb * BYTES_PER_MB + 1
    invocation_log = InvocationLog(log, clock)
    app.extensions["model"] = model
    app.extensions["invocation_log"] = invocation_log

    @app.before_request
    def begin() -> None:
        g.started = clock()

    @app.get("/ping")
    def ping() -> Response:
        return Response(status=200 if model.is_loaded else 503)

    @app.get("/execution-parameters")
    def execution_parameters() -> Response:
        return jsonify(
            MaxConcurrentTransforms=settings.max_concurrent_transforms,
            BatchStrategy=settings.batch_strategy,
            MaxPayloadInMB=settings.max_payload_in_mb,
        )

    @app.post("/invocations")
    def invocations() -> Response:
        # Read before anything is refused: who still sends would see a broken connection instead.
        body = _request_body(settings.max_payload_in_mb)
        classifier = model.get(patience_in_seconds)
        accept = _response_content_type()
        records = input_fn(body, request.headers.get("Content-Type") or TEXT)
        answers = predict_fn(records, classifier, _client_waits())
        response = output_fn(answers, accept)
        invocation_log.answered(answers, g.started)
        return Response(response, content_type=accept)

    @app.errorhandler(Exception)
    def refuse(error: Exception) -> tuple[Response, int]:
        status, code, message = _refusal(error)
        if status == 500:
            app.logger.error("%s", message, exc_info=error)
        if request.endpoint == invocations.__name__:
            invocation_log.refused(status, code, message, g.started)
        return jsonify(error={"code": code, "message": message}), status

    return app


def _refusal(error: Exception) -> tuple[int, str, str]:
    """Status, stable code and sentence for whatever ended a request."""
    if isinstance(error, HTTPException):
        told = f"{error.name}. Served are GET /ping, GET /execution-parameters, POST /invocations."
        return error.code, error.name.replace(" ", ""), told
    if type(error) in STATUS_CODES:
        return STATUS_CODES[type(error)], type(error).__name__, str(error)
    return 500, "InternalError", "The container failed; the job's log has the traceback."


def _request_body(max_payload_in_mb: int) -> bytes:
    """The whole body, decompressed, and no larger than the job's payload either way."""
    body = _received_body(max_payload_in_mb * BYTES_PER_MB)
    if body is None:
        raise PayloadTooLarge(max_payload_in_mb)
    if request.content_length not in (None, len(body)):
        raise UnreadableRequest(
            f"Cannot read the body: it ended after {len(body)} of the {request.content_length} "
            "bytes that its Content-Length promises. Send it again, whole."
        )
    transfer_encoding = request.headers.get("Transfer-Encoding", "chunked")
    if transfer_encoding.lower() != "chunked":
        raise UnsupportedContentType(
            f"Cannot read a body of Transfer-Encoding {transfer_encoding!r}, expected chunked or "
            "none. Name its compression in Content-Encoding."
        )
    encoding = request.headers.get("Content-Encoding", "")
    return decoded_body(body, encoding, max_payload_in_mb)


def _received_body(max_bytes: int) -> bytes | None:
    """The body as it was sent; None for one of more than `max_bytes`, which is not kept."""
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        body = None
    except (ClientDisconnected, ParseException) as error:
        # Neither told nor chained: gunicorn's error quotes the body.
        raise UnreadableRequest(
            f"Cannot read the body: it broke off, or its chunks are none ({type(error).__name__}). "
            "Send it again, whole."
        ) from None
    if body is not None and len(body) <= max_bytes:
        return body
    _discard_body()
    return None


def _discard_body() -> None:
    """Read what is left of a refused body, up to the largest that a job sends."""
    left = LARGEST_PAYLOAD_IN_BYTES
    with suppress(OSError, ParseException):
        while left > 0 and (piece := request.environ["wsgi.input"].read(BYTES_PER_MB)):
            left -= len(piece)


def _response_content_type() -> str:
    """The content type of ours that the request prefers; without an Accept header, the first."""
    content_types = list(WRITERS)
    if not request.accept_mimetypes:
        return content_types[0]
    # Every answer is UTF-8; werkzeug would take the parameter for another content type.
    accepted = MIMEAccept(
        (UTF_8_PARAMETER.sub("", content_type), weight)
        for content_type, weight in request.accept_mimetypes
    )
    content_type = accepted.best_match(content_types)
    if content_type is None:
        raise NotAcceptable(
            f"Cannot answer as {request.headers['Accept']!r}, expected one of "
            f"{', '.join(content_types)}. Set the transform job's Accept to one of these."
        )
    return content_type


def _client_waits() -> Callable[[], bool]:
    """A question for any thread: is the client of this request still connected?"""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")

    def is_connected() -> bool:
        try:
            # Nothing to read is a client that waits; an end of file, one that has left: SageMaker's
            # keeps its half of the connection open for the next request.
            return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    return is_connected if connection else lambda: True


def _served_app() -> Flask:
    settings = Settings.from_environment(gpus=given_gpus())
    return create_app(
        settings,
        BackgroundModel(
            lambda: model_fn(
                settings.model_dir,
                settings.top_k,
                settings.max_tokens_per_micro_batch,
                settings.require_gpu,
                settings.inference_precision,
            )
        ),
    )


app = _served_app()
