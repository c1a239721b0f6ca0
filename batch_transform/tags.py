"""
Tags as AWS takes them: a list of keys and values, or one text, as in a URL.

Knows both forms, how many tags an object in S3 bears and which AWS keeps for itself. What else AWS
allows in a key or a value is checked with the requests that hold them.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlencode

_TAGS_OF_AN_OBJECT = 10
_OF_AWS = "aws:"


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as SageMaker and CloudFormation take them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_text(tags: Mapping[str, str]) -> str:
    """Return tags as S3 takes them in a header: `matter=4711&team=legal`; empty for none."""
    return urlencode(tags)


def tags_in(text: str) -> dict[str, str]:
    """Read what `tag_text` wrote."""
    return dict(parse_qsl(text, keep_blank_values=True))


def tag_problems(tags: Mapping[str, str]) -> Iterator[str]:
    """Yield why these tags cannot be put on everything that a job leaves."""
    if len(tags) > _TAGS_OF_AN_OBJECT:
        yield f"--tag: {len(tags)} tags, and an object in S3 bears {_TAGS_OF_AN_OBJECT}"
    for key in tags:
        if key.lower().startswith(_OF_AWS):
            yield f"--tag: {key!r} begins with {_OF_AWS}, which AWS keeps for its own tags"
