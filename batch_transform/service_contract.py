"""
What an AWS API would refuse in a request, read from botocore's own service model.

botocore's clients check names, types and minima before sending; enums, patterns, maxima and
lengths are left to the service, which answers only after the call. Here all of them are checked,
without a client, credentials or a network.

Knows the constraints a service *declares*. Does not know those it only documents (concurrent
transforms times payload at most 100 MB, for one) nor the state of an account.
"""

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape


@dataclass(frozen=True)
class Violation:
    """
    One constraint that one member of a request fails to satisfy.

    Attributes
    ----------
    path
        Where, in the API's own names: ``TransformResources.InstanceType``, ``Tags[0].Key``.
    value
        What was found there; None for a required member that is absent.
    constraint
        AWS's own phrase: ``Member must have length less than or equal to 63``.
    """

    path: str
    value: object
    constraint: str

    def __str__(self) -> str:
        return f"{self.path}={self.value!r}: {self.constraint}"


def violations(service_name: str, operation_name: str, request: Mapping) -> Iterator[Violation]:
    """
    Yield each thing that *service_name* would refuse in *request*, in the request's own order.

    *request* holds the keyword arguments of a boto3 call or, just as well, a decoded JSON body.
    A pattern that has no equal in Python's regular expressions is left to the service.

    Raises botocore's UnknownServiceError or OperationNotFoundError for names AWS does not have.
    """
    operation = service_model(service_name).operation_model(operation_name)
    if operation.input_shape is not None:
        yield from _of_value(operation.input_shape, request, "")


@cache
def service_model(service_name: str) -> ServiceModel:
    """Return botocore's description of *service_name*: ``sagemaker``, ``sqs``, ``s3`` …"""
    return ServiceModel(Loader().load_service_model(service_name, "service-2"), service_name)


def _of_value(shape: Shape, value: Any, path: str) -> Iterator[Violation]:
    if not isinstance(value, _PYTHON_TYPES[shape.type_name]) or _is_bool_for_number(shape, value):
        absent = value is None
        wanted = "not be null" if absent else f"be of type {shape.type_name}"
        yield Violation(path, value, f"Member must {wanted}")
    elif shape.type_name in _CONSTRAINTS:
        yield from _CONSTRAINTS[shape.type_name](shape, value, path)


def _is_bool_for_number(shape: Shape, value: Any) -> bool:
    return isinstance(value, bool) and shape.type_name != "boolean"


def _of_structure(shape: Shape, value: Mapping, path: str) -> Iterator[Violation]:
    if getattr(shape, "is_document_type", False):
        return
    prefix = f"{path}." if path else ""
    for name in shape.required_members:
        is_filled_by_client = shape.members[name].metadata.get("idempotencyToken")
        if name not in value and not is_filled_by_client:
            yield Violation(prefix + name, None, "Member must not be null")
    for name, member in value.items():
        if name in shape.members:
            yield from _of_value(shape.members[name], member, prefix + name)
        else:
            known = ", ".join(shape.members)
            yield Violation(prefix + name, member, f"Member must be one of: [{known}]")


def _of_list(shape: Shape, value: list, path: str) -> Iterator[Violation]:
    yield from _of_length(shape, value, path)
    for index, member in enumerate(value):
        yield from _of_value(shape.member, member, f"{path}[{index}]")


def _of_map(shape: Shape, value: Mapping, path: str) -> Iterator[Violation]:
    yield from _of_length(shape, value, path)
    for key, member in value.items():
        for violation in _of_value(shape.key, key, f"{path}.{key}"):
            constraint = f"Map keys must satisfy constraint: [{violation.constraint}]"
            yield Violation(violation.path, violation.value, constraint)
        yield from _of_value(shape.value, member, f"{path}.{key}")


def _of_string(shape: Shape, value: str, path: str) -> Iterator[Violation]:
    if shape.enum and value not in shape.enum:
        constraint = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        yield Violation(path, value, constraint)
    yield from _of_length(shape, value, path)
    pattern = shape.metadata.get("pattern")
    compiled = _java_pattern(pattern) if pattern else None
    if compiled and not compiled.fullmatch(value):
        constraint = f"Member must satisfy regular expression pattern: {pattern}"
        yield Violation(path, value, constraint)


def _of_blob(shape: Shape, value: Any, path: str) -> Iterator[Violation]:
    if hasattr(value, "__len__"):
        yield from _of_length(shape, value, path)


def _of_length(shape: Shape, value: Any, path: str) -> Iterator[Violation]:
    yield from _of_range(shape, len(value), value, path, "length")


def _of_number(shape: Shape, value: float, path: str) -> Iterator[Violation]:
    yield from _of_range(shape, value, value, path, "value")


def _of_range(
    shape: Shape, measure: float, value: Any, path: str, quantity: str
) -> Iterator[Violation]:
    if measure > shape.metadata.get("max", measure):
        limit = f"less than or equal to {shape.metadata['max']}"
        yield Violation(path, value, f"Member must have {quantity} {limit}")
    if measure < shape.metadata.get("min", measure):
        limit = f"greater than or equal to {shape.metadata['min']}"
        yield Violation(path, value, f"Member must have {quantity} {limit}")


_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": Mapping,
    "map": Mapping,
    "list": (list, tuple),
    "string": str,
    "char": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (datetime, int, float, str),
    "blob": object,
}

_CONSTRAINTS: dict[str, Callable[..., Iterator[Violation]]] = {
    "structure": _of_structure,
    "list": _of_list,
    "map": _of_map,
    "string": _of_string,
    "blob": _of_blob,
    "integer": _of_number,
    "long": _of_number,
    "float": _of_number,
    "double": _of_number,
}

_UNICODE_CATEGORY = re.compile(r"\\p\{([A-Z][a-z]?)\}")
_HYPHEN_AFTER_CLASS = re.compile(r"(\\[wdsWDS])-(?=[^\]])")
_SURROGATE_RANGE = r"\uD800\uDC00-\uDBFF\uDFFF"


@cache
def _java_pattern(pattern: str) -> re.Pattern[str] | None:
    """Return the Python equal of a Java pattern, or None where Python has none."""
    translated = pattern.replace(_SURROGATE_RANGE, r"\U00010000-\U0010FFFF")
    translated = translated.replace(r"\p{Alnum}", "a-zA-Z0-9")
    translated = _UNICODE_CATEGORY.sub(lambda match: _characters_of(match[1]), translated)
    translated = _HYPHEN_AFTER_CLASS.sub(r"\1\\-", translated)
    try:
        # Java's \w, \d and \s are ASCII unless asked otherwise.
        return re.compile(translated, re.ASCII)
    except re.error:
        return None


@cache
def _characters_of(category: str) -> str:
    """Return the characters of a Unicode category, as ranges to stand in a character class."""
    points = (n for n in range(sys.maxunicode) if _category(n).startswith(category))
    runs = (list(run) for _, run in groupby(enumerate(points), lambda pair: pair[1] - pair[0]))
    return "".join(f"\\U{run[0][1]:08x}-\\U{run[-1][1]:08x}" for run in runs)


def _category(code_point: int) -> str:
    return unicodedata.category(chr(code_point))
