"""The HTTP of SageMaker's container contract: routes, status codes, one log line an invocation.

Knows nothing of models: a request is input_fn, predict_fn, output_fn. gunicorn imports this
module in its worker, so that nothing is loaded before the fork.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import TextIO

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from src.background_model import BackgroundModel
from src.errors import ModelLoading, NotAcceptable, UnreadableRequest, UnsupportedContentType
from src.inference import Answers, input_fn, model_fn, output_fn, predict_fn
from src.records import TEXT, WRITERS
from src.settings import Settings

STATUS_CODES: dict[type[Exception], int] = {
    UnreadableRequest: 400,
    NotAcceptable: 406,
    UnsupportedContentType: 415,
    ModelLoading: 503,
}


def create_app(
    settings: Settings,
    model: BackgroundModel,
    log: TextIO = sys.stdout,
    clock: Callable[[], float] = time.perf_counter,
) -> Flask:
    """The server around `model`, which the caller starts to load: `extensions["model"]`."""
    app = Flask(__name__)
    # SageMaker counts a payload's megabytes in powers of two.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_payload_in_mb * 2**20
    app.extensions["model"] = model

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
        started = clock()
        classifier = model.get()
        accept = _response_content_type()
        records = input_fn(request.get_data(cache=False), request.headers.get("Content-Type", TEXT))
        answers = predict_fn(records, classifier)
        body = output_fn(answers, accept)
        _log_invocation(log, answers, clock() - started)
        return Response(body, content_type=accept)

    @app.errorhandler(Exception)
    def refuse(error: Exception) -> tuple[Response, int]:
        status, code, message = _refusal(error)
        if status == 500:
            app.logger.error("%s", message, exc_info=error)
        else:
            app.logger.warning("Answered %s: %s", status, message)
        return jsonify(error={"code": code, "message": message}), status

    return app


def _refusal(error: Exception) -> tuple[int, str, str]:
    """Status, stable code and sentence for whatever ended a request."""
    if isinstance(error, RequestEntityTooLarge):
        limit_in_mb = request.max_content_length // 2**20
        message = (
            f"Cannot read a body of more than {limit_in_mb} MB, this job's MaxPayloadInMB. "
            "Raise it, or send smaller records."
        )
        return 413, "PayloadTooLarge", message
    if isinstance(error, HTTPException):
        return error.code, error.name.replace(" ", ""), error.description
    if type(error) in STATUS_CODES:
        return STATUS_CODES[type(error)], type(error).__name__, str(error)
    return 500, "InternalError", "The container failed; the job's log has the traceback."


def _response_content_type() -> str:
    """The content type of ours that the request prefers; without an Accept header, the first."""
    content_types = list(WRITERS)
    if not request.accept_mimetypes:
        return content_types[0]
    content_type = request.accept_mimetypes.best_match(content_types)
    if content_type is None:
        raise NotAcceptable(
            f"Cannot answer as {request.headers['Accept']!r}, expected one of "
            f"{', '.join(content_types)}. Set the transform job's Accept to one of these."
        )
    return content_type


def _log_invocation(log: TextIO, answers: Answers, seconds: float) -> None:
    line = {
        "records": len(answers.records),
        "failed": answers.failed,
        "tokens": answers.tokens,
        "micro_batches": answers.micro_batches,
        "milliseconds": round(seconds * 1000),
    }
    print(json.dumps(line), file=log, flush=True)


def _served_app() -> Flask:
    settings = Settings.from_environment()
    return create_app(
        settings,
        BackgroundModel(
            lambda: model_fn(
                settings.model_dir, settings.top_k, settings.max_tokens_per_micro_batch
            )
        ),
    )


app = _served_app()
