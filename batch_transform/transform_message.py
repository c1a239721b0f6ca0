"""
The message that asks for a job: its fields, its JSON, and what a stack accepts of it.

Knows the format and the rules; knows neither the queue that carries it nor how a job is started.
"""

import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Self

from batch_transform.errors import InvalidSettings, RefusedRequest
from batch_transform.naming import JobFolder, S3Uri, requested_job_name
from batch_transform.transform_profiles import OPTIMIZED, PROFILES, TransformProfile

MAX_INSTANCE_COUNT = 100
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
_REQUEST_ID = re.compile(r"(?!.{41})[a-zA-Z0-9](-*[a-zA-Z0-9])*")


@dataclass(frozen=True)
class TransformMessage:
    """One request as it travels; whatever is None is left to the stack that receives it."""

    input_path: str
    output_path: str | None = None
    instance_type: str | None = None
    instance_count: int = 1
    profile: str = OPTIMIZED.name
    request_id: str | None = None

    @classmethod
    def from_json(cls, body: str) -> Self:
        """Read a message; raise RefusedRequest with everything that is wrong with it."""
        try:
            document = json.loads(body, object_pairs_hook=_object_of)
        except (ValueError, RecursionError) as error:
            raise RefusedRequest([f"the message is not JSON: {error}"]) from None
        if not isinstance(document, dict):
            raise RefusedRequest(
                [f"the message is a JSON {type(document).__name__}, expected an object"]
            )
        if problems := [*_field_problems(document)]:
            raise RefusedRequest(problems)
        message = cls(**document)
        if problems := [*message.problems()]:
            raise RefusedRequest(problems)
        return message

    def to_json(self) -> str:
        """Return the message as `from_json` reads it, without the fields that are left open."""
        return json.dumps(self.given)

    @property
    def given(self) -> dict[str, Any]:
        """The fields that are not left open."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def digest(self) -> str:
        """
        What the job bears of this request, so that it is told from any other of the same id.

        Made of what was said and not of what a stack fills in, which may be another when the
        message is delivered again.
        """
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the values, whoever receives them."""
        for name in ("input_path", "output_path"):
            path = getattr(self, name)
            if path is not None and not re.match(r"s3://[^/]+/.", path):
                yield f"{name}: got {path!r}, expected s3://bucket/prefix"
        if not 1 <= self.instance_count <= MAX_INSTANCE_COUNT:
            yield f"instance_count: got {self.instance_count}, expected 1 to {MAX_INSTANCE_COUNT}"
        if self.profile not in PROFILES:
            yield f"profile: got {self.profile!r}, expected {' or '.join(PROFILES)}"
        if self.request_id is not None:
            yield from _request_id_problems(self.request_id)


@dataclass(frozen=True)
class RequestedJob:
    """A request with everything filled in that its message left open."""

    message: TransformMessage
    job_name: str
    profile: TransformProfile
    input_uri: S3Uri
    output_uri: S3Uri
    instance_type: str
    instance_count: int

    @property
    def folder(self) -> JobFolder:
        """The job's own folder."""
        return JobFolder.of(self.output_uri, self.job_name)


@dataclass(frozen=True)
class AcceptedRequests:
    """
    What one stack may do for those who write to its queue.

    *instance_types* are in the order in which they are taken for a message that names none.
    """

    queue_name: str
    input_folder: S3Uri
    output_folder: S3Uri
    instance_types: tuple[str, ...]

    def job(self, message: TransformMessage, request_id: str) -> RequestedJob:
        """
        Return the job that a message asks for; raise RefusedRequest with all that is not allowed.

        *request_id* is the one to use where the message brings none.
        """
        request_id = message.request_id or request_id
        if problems := [*_request_id_problems(request_id)]:
            raise RefusedRequest(problems)
        profile = PROFILES[message.profile]
        job = RequestedJob(
            message=message,
            job_name=requested_job_name(self.queue_name, request_id),
            profile=profile,
            input_uri=self._input_uri(message),
            output_uri=S3Uri.parse(message.output_path or str(self.output_folder)).folder(),
            instance_type=self._instance_type(message, profile),
            instance_count=message.instance_count,
        )
        if problems := [*self._problems(job)]:
            raise RefusedRequest(problems)
        return job

    def _input_uri(self, message: TransformMessage) -> S3Uri:
        """The whole input folder may be named without its `/`, which its listing needs."""
        input_uri = S3Uri.parse(message.input_path)
        is_whole = input_uri.folder() == self.input_folder
        return self.input_folder if is_whole else input_uri

    def _instance_type(self, message: TransformMessage, profile: TransformProfile) -> str:
        """Where none is asked for, the first of the profile's kind; else the first of all."""
        if message.instance_type is not None:
            return message.instance_type
        return next(filter(profile.suits, self.instance_types), self.instance_types[0])

    def _problems(self, job: RequestedJob) -> Iterator[str]:
        if not self.input_folder.covers(job.input_uri.folder()):
            yield f"input_path: {job.input_uri} does not lie below {self.input_folder}"
        if not self.output_folder.covers(job.output_uri):
            yield f"output_path: {job.output_uri} does not lie below {self.output_folder}"
        if job.instance_type not in self.instance_types:
            allowed = ", ".join(self.instance_types)
            yield f"instance_type: {job.instance_type!r} is not among those allowed: {allowed}"


def new_request_id(now: datetime) -> str:
    """Return an id that sorts by time and that no other request will draw."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def check_message(message: TransformMessage) -> None:
    """Raise InvalidSettings with everything that is wrong, before anything is sent."""
    problems = [*message.problems()]
    if problems:
        raise InvalidSettings(problems)


def _request_id_problems(request_id: str) -> Iterator[str]:
    if not _REQUEST_ID.fullmatch(request_id):
        yield (
            f"request_id: got {request_id!r}, expected at most 40 letters, digits and hyphens: "
            "the job's name is made of it"
        )


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; refuse one that says two things of the same field."""
    names = Counter(name for name, _value in pairs)
    if doubled := [name for name, times in names.items() if times > 1]:
        raise RefusedRequest([f"given more than once: {', '.join(doubled)}"])
    return dict(pairs)


def _field_problems(document: dict[str, Any]) -> Iterator[str]:
    known = {field.name: field for field in fields(TransformMessage)}
    if unknown := sorted(document.keys() - known.keys()):
        yield f"unknown fields: {', '.join(unknown)}; known are {', '.join(known)}"
    if "input_path" not in document:
        yield "input_path is missing"
    for name, value in document.items():
        expected = int if name == "instance_count" else str
        if name in known and type(value) is not expected:
            kind = "a whole number" if expected is int else "a string"
            yield f"{name}: got {json.dumps(value)}, expected {kind}"
        elif isinstance(value, str) and _HALF_A_CHARACTER.search(value):
            yield f"{name}: got {json.dumps(value)}, which holds half a character"
