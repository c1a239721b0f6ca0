"""
What a job will take, told before it is paid for: documents, tokens, shards, minutes, dollars.

Pure arithmetic on what was listed and sampled. Every figure it starts from has a name below or
comes in as an argument, with where it was taken from; so the answer says how far to trust it.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from batch_transform.packed_input import shard_bytes_for
from batch_transform.prices import HourlyPrice, written_out
from batch_transform.wording import counted

START_UP_IN_SECONDS = 240
"""Assumed: fetching image and model and loading it. Billed like the work itself."""
CHARACTERS_PER_TOKEN = 4.2
"""Assumed for English prose and ModernBERT's tokenizer, until an earlier job has measured it."""
_RECORD_OVERHEAD_IN_BYTES = 60
"""What the JSON around a text takes in a shard: names of fields, source and line."""


@dataclass(frozen=True)
class InputSize:
    """How much there is to do; *documents* and *characters* are exact where all was read."""

    files: int
    bytes: int
    documents: int
    characters: int
    is_exact: bool


@dataclass(frozen=True)
class Throughput:
    """Tokens a second on one instance, characters a token, and where both were taken from."""

    tokens_per_second: float
    characters_per_token: float
    basis: str


@dataclass(frozen=True)
class JobEstimate:
    """The expected course of a job; dollars are None where the price of the machine is unknown."""

    files: int
    bytes: int
    documents: int
    is_exact: bool
    tokens: int
    shards: int | None
    instance_type: str
    instance_count: int
    minutes: float
    dollars: float | None
    speed_basis: str
    price_basis: str

    def to_json(self) -> dict[str, Any]:
        """Return all of it by name."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{counted(self.files, 'file')}, {self.expectation}"

    @property
    def expectation(self) -> str:
        """Documents, tokens, minutes and dollars in one sentence, and where they come from."""
        about = "" if self.is_exact else "about "
        packed = f" in {counted(self.shards, 'shard')}" if self.shards else ""
        cost = "an unknown price" if self.dollars is None else written_out(self.dollars)
        return (
            f"{about}{counted(self.documents, 'document')}, about "
            f"{counted(self.tokens, 'token')}{packed}; on {self.instance_count} x "
            f"{self.instance_type} about {counted(round(self.minutes), 'minute')} and {cost} "
            f"(speed {self.speed_basis}; price {self.price_basis})"
        )


def estimate_job(
    size: InputSize,
    *,
    throughput: Throughput,
    price: HourlyPrice,
    instance_type: str,
    instance_count: int,
    is_packed: bool,
) -> JobEstimate:
    """Return what a job on *instance_count* machines is expected to take."""
    tokens = math.ceil(size.characters / throughput.characters_per_token)
    seconds = START_UP_IN_SECONDS + tokens / (throughput.tokens_per_second * instance_count)
    return JobEstimate(
        files=size.files,
        bytes=size.bytes,
        documents=size.documents,
        is_exact=size.is_exact,
        tokens=tokens,
        shards=_shards(size, instance_count) if is_packed else None,
        instance_type=instance_type,
        instance_count=instance_count,
        minutes=round(seconds / 60, 1),
        dollars=price.cost(seconds * instance_count),
        speed_basis=throughput.basis,
        price_basis=price.basis,
    )


def _shards(size: InputSize, instance_count: int) -> int:
    packed_bytes = size.characters + size.documents * _RECORD_OVERHEAD_IN_BYTES
    return math.ceil(packed_bytes / shard_bytes_for(size.bytes, instance_count)) or 1
