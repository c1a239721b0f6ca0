"""Weights mapped from a file leave memory once something was made of them, and stay the same."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from src.mapped_weights import give_back

MEBIBYTES = 32


def resident_in_mib() -> float:
    """The memory that this process holds."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own account")
def test_weights_of_a_file_leave_memory_and_come_back(tmp_path):
    """The pages go; whoever reads the weights again reads the same."""
    saved = torch.randn(MEBIBYTES, 2**18)
    save_file({"weights": saved}, tmp_path / "model.safetensors")
    weights = load_file(tmp_path / "model.safetensors")["weights"]
    total = weights.sum()
    before = resident_in_mib()

    give_back(weights)

    assert before - resident_in_mib() > MEBIBYTES / 2
    assert weights.sum() == total
    assert torch.equal(weights, saved)


def test_weights_that_were_changed_keep_their_values():
    """Memory that no file stands behind would be emptied: it is left alone."""
    weights = torch.arange(10_000_000)

    give_back(weights)

    assert torch.equal(weights, torch.arange(10_000_000))
