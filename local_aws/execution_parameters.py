"""
How many requests at once, how large and of how many records: what a job runs with.

Knows who decides: the job, else the container, else SageMaker's defaults.
"""

from dataclasses import dataclass
from typing import Any

from local_aws.mini_batches import BYTES_IN_MB, MiniBatchRule
from local_aws.model_server import STRATEGY_IN_ENVIRONMENT, ModelServer
from local_aws.request_rules import DEFAULT_MAX_PAYLOAD_IN_MB


@dataclass(frozen=True)
class ExecutionParameters:
    """What SageMaker logs first: the job's own values, else the container's, else the defaults."""

    max_concurrent_transforms: int
    max_payload_in_mb: int
    batch_strategy: str

    @classmethod
    def resolve(cls, job: dict[str, Any], server: ModelServer) -> "ExecutionParameters":
        """Ask the container only for what the job leaves open; 0 concurrent counts as open."""
        is_open = not job.get("MaxConcurrentTransforms")
        is_open |= "MaxPayloadInMB" not in job or "BatchStrategy" not in job
        asked = server.execution_parameters() if is_open else {}
        strategy = job.get("BatchStrategy") or asked.get("BatchStrategy", "MULTI_RECORD")
        return cls(
            job.get("MaxConcurrentTransforms") or int(asked.get("MaxConcurrentTransforms", 1)),
            job.get("MaxPayloadInMB", int(asked.get("MaxPayloadInMB", DEFAULT_MAX_PAYLOAD_IN_MB))),
            STRATEGY_IN_ENVIRONMENT.get(strategy, strategy),
        )

    def __str__(self) -> str:
        return (
            f"MaxConcurrentTransforms={self.max_concurrent_transforms}, "
            f"MaxPayloadInMB={self.max_payload_in_mb}, BatchStrategy={self.batch_strategy}"
        )

    def mini_batch_rule(self, split_type: str) -> MiniBatchRule:
        """How the job's objects are cut."""
        return MiniBatchRule(
            is_split_by_line=split_type == "Line",
            is_single_record=self.batch_strategy == "SINGLE_RECORD",
            max_payload_in_bytes=self.max_payload_in_mb * BYTES_IN_MB or None,
        )
