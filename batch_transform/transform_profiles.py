"""
STANDARD and OPTIMIZED: the two ways this toolkit runs a job, each a set of checked numbers.

Knows what SageMaker allows of these numbers; knows neither names nor places of a single job.
"""

import re
from dataclasses import dataclass, replace

MAX_REQUEST_MEMORY_IN_MB = 100
GPU_AMI_VERSION = "al2-ami-sagemaker-batch-gpu-535"
_GPU_INSTANCE = re.compile(r"ml\.(p|g)\d")
_LOCAL_SSD_INSTANCE = re.compile(r"ml\.(g\d|[a-z]\d[a-z]*d)")
_NEURON_INSTANCE = re.compile(r"ml\.(trn|inf)\d")


@dataclass(frozen=True)
class TransformProfile:
    """How documents travel from S3 to the container and back."""

    name: str
    default_instance_type: str
    content_type: str
    accept: str
    batch_strategy: str
    max_payload_in_mb: int
    max_concurrent_transforms: int
    invocations_timeout_in_seconds: int
    invocations_max_retries: int
    runs_on_gpu: bool

    def __post_init__(self) -> None:
        """Refuse numbers whose product SageMaker refuses: concurrent x payload, 100 MB at most."""
        memory = self.max_payload_in_mb * self.max_concurrent_transforms
        if memory > MAX_REQUEST_MEMORY_IN_MB:
            raise ValueError(
                f"profile {self.name}: {self.max_concurrent_transforms} concurrent requests of "
                f"{self.max_payload_in_mb} MB make {memory} MB; "
                f"SageMaker allows {MAX_REQUEST_MEMORY_IN_MB}"
            )

    def max_concurrent_transforms_on(self, instance_type: str) -> int:
        """
        Return how many requests a machine is given at once.

        Packed requests are large: what is in flight on a CPU must be answered within the
        invocation timeout. 6 MB are about 1.4 million tokens of English; at the 700 tokens/s of a
        ModernBERT-base on two cores that is 2,000 of the 3,600 seconds, so there is one at a time.
        """
        if self.batch_strategy == "MultiRecord" and not is_gpu(instance_type):
            return 1
        return self.max_concurrent_transforms

    def suits(self, instance_type: str) -> bool:
        """Tell whether *instance_type* is of the kind that this job was made for."""
        return is_gpu(instance_type) == self.runs_on_gpu

    def instance_type_remark(self, instance_type: str) -> str | None:
        """
        Return what an operator should know before renting *instance_type* for this job, or None.

        Either kind of job runs on either kind of machine: an account whose GPU quota is still zero
        can run the optimized job on CPUs.
        """
        if self.suits(instance_type):
            return None
        if self.runs_on_gpu:
            return f"{instance_type} has no GPU: the job will run, but take longer"
        return f"{instance_type} has a GPU, which one document a request will not fill"


def instance_type_problem(instance_type: str) -> str | None:
    """Return why the container cannot run on *instance_type*, or None."""
    if _NEURON_INSTANCE.match(instance_type):
        return f"{instance_type} has a Neuron accelerator, for which the container has no runtime"
    return None


def is_gpu(instance_type: str) -> bool:
    """Tell whether *instance_type* has NVIDIA GPUs."""
    return bool(_GPU_INSTANCE.match(instance_type))


def takes_volume_key(instance_type: str) -> bool:
    """Tell whether its volume can have a key: a local SSD is encrypted by the machine itself."""
    return not _LOCAL_SSD_INSTANCE.match(instance_type)


def transform_ami_version(instance_type: str) -> str | None:
    """
    Return the machine image to ask for, or None where SageMaker's default will do.

    The default image of g4dn and g5 has driver 470 (CUDA 11.4), too old for the container's torch.
    """
    return GPU_AMI_VERSION if is_gpu(instance_type) else None


def container_environment(instance_type: str) -> dict[str, str]:
    """
    Return what the container is told of the machine it was rented.

    A GPU that is paid for and cannot be used ends the container at its start.
    """
    return {"REQUIRE_GPU": "true"} if is_gpu(instance_type) else {}


STANDARD = TransformProfile(
    name="standard",
    default_instance_type="ml.m5.xlarge",
    content_type="text/plain",
    accept="application/jsonlines",
    batch_strategy="SingleRecord",
    max_payload_in_mb=6,
    max_concurrent_transforms=8,
    invocations_timeout_in_seconds=3600,
    invocations_max_retries=3,
    runs_on_gpu=False,
)

OPTIMIZED = TransformProfile(
    name="optimized",
    default_instance_type="ml.g5.xlarge",
    content_type="application/jsonlines",
    accept="application/jsonlines",
    batch_strategy="MultiRecord",
    max_payload_in_mb=6,
    max_concurrent_transforms=4,
    invocations_timeout_in_seconds=3600,
    invocations_max_retries=3,
    runs_on_gpu=True,
)

OPTIMIZED_UNPACKED = replace(OPTIMIZED, content_type="text/plain")
"""The optimized job on the user's own files, where packing them would take too long."""

PROFILES = {profile.name: profile for profile in (STANDARD, OPTIMIZED)}
