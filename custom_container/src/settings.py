"""The container's settings: the variables SageMaker sets, and four of our own.

The only place in the container that reads the environment. Knows nothing of models or HTTP.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from src.errors import SettingsError

Value = TypeVar("Value")

DEFAULT_TOP_K = 3
DEFAULT_MAX_PAYLOAD_IN_MB = 6
# The token budget is then fitted to the device.
DEFAULT_MAX_TOKENS_PER_MICRO_BATCH = 0
# For each GPU, or for a machine that has none: enough to read and write beside the device's work.
DEFAULT_MAX_CONCURRENT_TRANSFORMS = 8
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
FASTEST_PRECISION = ""
# CreateTransformJob: MaxConcurrentTransforms x MaxPayloadInMB must not exceed 100 MB.
MAX_CONCURRENT_PAYLOAD_IN_MB = 100
_QUOTED_CHARACTERS = 40
BATCH_STRATEGIES = {
    "MULTI_RECORD": "MULTI_RECORD",
    "SINGLE_RECORD": "SINGLE_RECORD",
    "MultiRecord": "MULTI_RECORD",
    "SingleRecord": "SINGLE_RECORD",
}


@dataclass(frozen=True)
class Settings:
    """One server's settings; see `from_environment` for the variables."""

    model_dir: Path
    port: int
    batch_strategy: str
    max_payload_in_mb: int
    max_concurrent_transforms: int
    top_k: int
    max_tokens_per_micro_batch: int
    require_gpu: bool
    inference_precision: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, gpus: int = 0) -> "Settings":
        """Read every variable, or raise one SettingsError that names all that are wrong.

        SAGEMAKER_MAX_PAYLOAD_IN_MB, SAGEMAKER_BATCH_STRATEGY and
        SAGEMAKER_MAX_CONCURRENT_TRANSFORMS are set only where CreateTransformJob set them; a
        concurrency of 0 is SageMaker's way to leave it to the container, which then chooses by its
        number of `gpus`. What is left open is chosen to keep at most 100 MB in flight.
        REQUIRE_GPU=true ends a container that cannot use a GPU.
        Without INFERENCE_PRECISION and MAX_TOKENS_PER_MICRO_BATCH they are fitted to the device.
        """
        variables = _Variables(environ)
        concurrency = variables.integer(
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", 0, range(MAX_CONCURRENT_PAYLOAD_IN_MB + 1)
        )
        max_payload_in_mb = variables.integer(
            "SAGEMAKER_MAX_PAYLOAD_IN_MB",
            min(DEFAULT_MAX_PAYLOAD_IN_MB, MAX_CONCURRENT_PAYLOAD_IN_MB // max(concurrency, 1)),
            range(1, MAX_CONCURRENT_PAYLOAD_IN_MB + 1),
        )
        settings = cls(
            model_dir=Path(environ.get("SM_MODEL_DIR", "/opt/ml/model")),
            port=variables.integer("SAGEMAKER_BIND_TO_PORT", 8080, range(1, 65536)),
            batch_strategy=variables.choice(
                "SAGEMAKER_BATCH_STRATEGY", "MULTI_RECORD", BATCH_STRATEGIES
            ),
            max_payload_in_mb=max_payload_in_mb,
            max_concurrent_transforms=concurrency
            or min(
                DEFAULT_MAX_CONCURRENT_TRANSFORMS * max(gpus, 1),
                MAX_CONCURRENT_PAYLOAD_IN_MB // max_payload_in_mb,
            ),
            top_k=variables.integer("TOP_K", DEFAULT_TOP_K, range(1, 1001)),
            max_tokens_per_micro_batch=variables.integer(
                "MAX_TOKENS_PER_MICRO_BATCH",
                DEFAULT_MAX_TOKENS_PER_MICRO_BATCH,
                range(1, 2**24 + 1),
            ),
            require_gpu=variables.choice("REQUIRE_GPU", False, {"true": True, "false": False}),
            inference_precision=variables.choice(
                "INFERENCE_PRECISION", FASTEST_PRECISION, {name: name for name in PRECISIONS}
            ),
        )
        if settings.max_concurrent_transforms * max_payload_in_mb > MAX_CONCURRENT_PAYLOAD_IN_MB:
            variables.complain(
                "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS x SAGEMAKER_MAX_PAYLOAD_IN_MB is "
                f"{concurrency} x {max_payload_in_mb}, expected {MAX_CONCURRENT_PAYLOAD_IN_MB} "
                "at most"
            )
        variables.raise_complaints()
        return settings


class _Variables:
    """Reads variables one after another and remembers every complaint."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._complaints: list[str] = []

    def integer(self, name: str, default: int, allowed: range) -> int:
        def parse(value: str) -> int:
            # int() alone would also take 1_0 and other alphabets' digits.
            if not (value.isascii() and value.isdigit() and (number := int(value)) in allowed):
                raise ValueError
            return number

        expected = f"a whole number from {allowed.start} to {allowed.stop - 1}"
        return self._read(name, default, parse, expected)

    def choice(self, name: str, default: Value, spellings: Mapping[str, Value]) -> Value:
        return self._read(name, default, spellings.__getitem__, "one of " + ", ".join(spellings))

    def _read(
        self, name: str, default: Value, parse: Callable[[str], Value], expected: str
    ) -> Value:
        value = self._environ.get(name, "")
        if not value:
            return default
        try:
            return parse(value)
        except (ValueError, KeyError):
            self.complain(f"{name} is {value[:_QUOTED_CHARACTERS]!r}, expected {expected}")
            return default

    def complain(self, complaint: str) -> None:
        self._complaints.append(complaint)

    def raise_complaints(self) -> None:
        if self._complaints:
            raise SettingsError(
                "Cannot start with this environment: "
                + "; ".join(self._complaints)
                + ". Correct the transform job's Environment or its request."
            )
