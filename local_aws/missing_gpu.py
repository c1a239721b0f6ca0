"""
The GPU that an instance type has and this machine has not.

Knows the one variable by which a job insists on a GPU. A job that rents ``ml.g5.xlarge`` runs here
all the same, on the CPU, and its log says so.
"""

from collections.abc import Mapping
from pathlib import Path

REQUIRE_GPU = "REQUIRE_GPU"
DEVICE_FILES = Path("/dev")


def is_missed(environment: Mapping[str, str], device_files: Path = DEVICE_FILES) -> bool:
    """Tell whether the container would insist on a GPU that this machine does not have."""
    return environment.get(REQUIRE_GPU) == "true" and not any(device_files.glob("nvidia[0-9]*"))
