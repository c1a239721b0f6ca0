"""
One page of a List operation: filters, order, and a token that says where the next page starts.

Knows the members that SageMaker's List requests have in common. A page starts after the last
item of the one before, so jobs made in between are neither repeated nor skipped.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.aws_error import validation_error

DEFAULT_MAX_RESULTS = 10

Item = Mapping[str, Any]


def page(
    items: Iterable[Item],
    request: Mapping[str, Any],
    name_member: str,
    sort_members: dict[str, str],
) -> tuple[list[Item], dict[str, str]]:
    """
    Return the items of one page, and the NextToken where there is another page.

    *sort_members* maps what SortBy may say to the member of an item that it sorts by.
    """
    sort_member = sort_members[request.get("SortBy", "CreationTime")]
    is_descending = request.get("SortOrder", "Descending") == "Descending"

    def order(item: Item) -> tuple[Any, str]:
        return item[sort_member], item[name_member]

    found = [item for item in items if _is_wanted(item, request, name_member)]
    found.sort(key=order, reverse=is_descending)
    if "NextToken" in request:
        last = _read_token(request["NextToken"])
        found = [
            item for item in found if order(item) != last and (order(item) < last) == is_descending
        ]
    size = request.get("MaxResults", DEFAULT_MAX_RESULTS)
    token = {"NextToken": _token(order(found[size - 1]))} if len(found) > size else {}
    return found[:size], token


def _is_wanted(item: Item, request: Mapping[str, Any], name_member: str) -> bool:
    status = request.get("StatusEquals")
    return (
        request.get("NameContains", "").lower() in item[name_member].lower()
        and (status is None or status == item["TransformJobStatus"])
        and _is_within(item, request, "CreationTime")
        and _is_within(item, request, "LastModifiedTime")
    )


def _is_within(item: Item, request: Mapping[str, Any], member: str) -> bool:
    after = request.get(f"{member}After")
    before = request.get(f"{member}Before")
    return (after is None or item[member] > after) and (before is None or item[member] < before)


def _token(last: tuple[Any, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def _read_token(token: str) -> tuple[Any, str]:
    try:
        sort_value, name = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError) as error:
        message = "Invalid pagination token."
        raise validation_error(message) from error
    return sort_value, name
