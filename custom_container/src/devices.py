"""The GPUs of the machine: those the container was given, and whether torch can use them.

Knows device files, drivers and torch's view of them; knows nothing of models.
"""

from collections.abc import Collection
from pathlib import Path

from src.errors import ModelError

DEVICE_FILES = Path("/dev")
DRIVER_VERSION = Path("/proc/driver/nvidia/version")


def given_gpus(device_files: Path = DEVICE_FILES) -> int:
    """How many NVIDIA GPUs the container was given.

    Counted by their device files: a server that asked torch before it forks its workers could not
    use CUDA in them.
    """
    return len(list(device_files.glob("nvidia[0-9]*")))


def free_gpu(gpus: int, taken: Collection[int]) -> int:
    """The first of `gpus` GPUs that is not taken; a worker that died leaves its own free."""
    return next(gpu for gpu in range(gpus) if gpu not in taken)


def device_in_use(given: int, is_required: bool) -> str:
    """The device that torch computes on, for the log.

    Raises ModelError where that would be the CPU although a GPU was given or required: at a GPU
    instance's price the job would take tens of times as long.
    """
    # Imported here, because the server counts GPUs before there is time for torch.
    import torch  # noqa: PLC0415

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        memory_in_gib = properties.total_memory / 2**30
        driver = _driver()
        return f"{properties.name}, {memory_in_gib:.0f} GiB, {driver}, CUDA {torch.version.cuda}"
    if given or is_required:
        raise ModelError(
            f"The machine gives the container {given} NVIDIA GPUs ({_driver()}), of which torch "
            f"{torch.__version__} can use none. Build the image with torch for CUDA 12, and set "
            "TransformAmiVersion to al2-ami-sagemaker-batch-gpu-535."
        )
    return f"CPU, {torch.get_num_threads()} threads"


def _driver(version: Path = DRIVER_VERSION) -> str:
    return version.read_text().splitlines()[0] if version.is_file() else "no NVIDIA driver"
