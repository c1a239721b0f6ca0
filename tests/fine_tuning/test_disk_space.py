"""A full disk is told as such, and nothing else is."""

import errno

import pytest
from safetensors import SafetensorError

from fine_tuning.disk_space import full_disk_told
from fine_tuning.errors import FineTuningError

TORCH = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 199488 vs 199376")


@pytest.mark.parametrize(
    ("error", "free"),
    [
        (TORCH, 0),
        (OSError(errno.ENOSPC, "No space left on device"), 2**30),
        (SafetensorError("I/O error: No space left on device (os error 28)"), 2**30),
    ],
    ids=["torch", "Python", "safetensors"],
)
def test_a_full_disk_is_told_with_its_folder(tmp_path, error, free):
    """Whatever wrote there, and whether or not it took its half-written file away."""
    with (
        pytest.raises(FineTuningError, match=f"disk is full: writing to {tmp_path} failed"),
        full_disk_told(tmp_path, free_bytes=lambda _folder: free),
    ):
        raise error


def test_another_failure_stays_what_it_is(tmp_path):
    """There is room, so it was something else."""
    with (
        pytest.raises(RuntimeError, match="unexpected pos"),
        full_disk_told(tmp_path, free_bytes=lambda _folder: 2**30),
    ):
        raise TORCH
