"""
One port for all of it: SageMaker and the job control here, every other service in ministack.

Knows the headers and paths by which requests are told apart, and the JSON protocol of SageMaker.
It, emulator, caller_policy and state_change_events are the only modules that know ministack.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from ministack.core.responses import get_account_id, set_request_account_id
from ministack.core.router import extract_access_key_id, extract_region

from local_aws.aws_error import AwsError
from local_aws.caller_policy import check_caller
from local_aws.job_control import PATH as JOB_CONTROL_PATH
from local_aws.sagemaker_api import SageMakerApi
from local_aws.sagemaker_state import Home, LeaseLostError

TARGET_PREFIX = "SageMaker."
RESET = ("POST", "/_ministack/reset")

AsgiApp = Callable[[dict, Callable, Callable], Any]
Answer = tuple[int, Mapping[str, Any]]

logger = logging.getLogger(__name__)


class HttpGateway:
    """The ASGI application in front of *ministack_app*."""

    def __init__(self, api: SageMakerApi, ministack_app: AsgiApp) -> None:
        self._api = api
        self._ministack_app = ministack_app

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Answer one request, or pass it on."""
        answer = self._answerer(scope)
        if answer is None:
            if (scope.get("method"), scope.get("path")) == RESET:
                self._api.state.clear()
            await self._ministack_app(scope, receive, send)
            return
        body = await _body(receive)
        status, content = await asyncio.to_thread(_guarded, answer, body)
        await _send_json(send, status, content)

    def _answerer(self, scope: dict) -> Callable[[dict], Answer] | None:
        if scope["type"] != "http":
            return None
        if scope["path"].startswith(JOB_CONTROL_PATH):
            action = scope["path"].removeprefix(JOB_CONTROL_PATH)
            return lambda request: self._control(action, request)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        target = headers.get("x-amz-target", "")
        if target.startswith(TARGET_PREFIX):
            operation_name = target.removeprefix(TARGET_PREFIX)
            home = _home(headers)
            access_key_id = extract_access_key_id(headers)

            def answer(request: dict) -> Answer:
                check_caller(access_key_id, home, operation_name, request)
                return HTTPStatus.OK, self._api.call(operation_name, home, request)

            return answer
        return None

    def _control(self, action: str, request: dict[str, Any]) -> Answer:
        """What job_control's three calls ask for."""
        state = self._api.state
        if action == "claim":
            return HTTPStatus.OK, self._claim(**request)
        if action == "renew":
            return HTTPStatus.OK, {"status": state.renew(**request)}
        if action == "finish":
            self._api.finish(**request)
            return HTTPStatus.OK, {}
        return HTTPStatus.NOT_FOUND, {"message": f"the job control has no action {action!r}"}

    def _claim(self, lease_in_seconds: float) -> dict[str, Any]:
        state = self._api.state
        with state.lock:
            job = state.claim(lease_in_seconds)
            if job is None or job.lease is None:
                return {}
            return {
                "account_id": job.home.account_id,
                "region": job.home.region,
                "lease_id": job.lease.lease_id,
                "description": dict(job.description),
                "model": state.models.get(job.home.arn("model", job.description["ModelName"])),
            }


def _guarded(answer: Callable[[dict], Answer], body: bytes) -> Answer:
    try:
        return answer(json.loads(body or b"{}"))
    except AwsError as error:
        return error.status, {"__type": error.code, "message": str(error)}
    except LeaseLostError as error:
        return HTTPStatus.CONFLICT, {"message": str(error)}
    except json.JSONDecodeError as error:
        return HTTPStatus.BAD_REQUEST, {"__type": "SerializationException", "message": str(error)}
    except Exception as error:
        logger.exception("a request to the local SageMaker failed")
        return HTTPStatus.INTERNAL_SERVER_ERROR, {
            "__type": "InternalFailure",
            "message": str(error),
        }


def _home(headers: Mapping[str, str]) -> Home:
    set_request_account_id(extract_access_key_id(headers))
    return Home(get_account_id(), extract_region(headers))


async def _body(receive: Callable) -> bytes:
    chunks = []
    is_more = True
    while is_more:
        message = await receive()
        chunks.append(message.get("body", b""))
        is_more = message.get("more_body", False)
    return b"".join(chunks)


async def _send_json(send: Callable, status: int, content: Mapping[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/x-amz-json-1.1"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
    ]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
