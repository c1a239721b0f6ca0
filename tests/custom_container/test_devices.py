"""Devices: a GPU that was paid for is used, or the job ends at once."""

import pytest
import torch

from src.devices import device_in_use, free_gpu, given_gpus
from src.errors import ModelError

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_gpus_are_counted_by_their_device_files(tmp_path):
    """nvidia0 and nvidia1 are GPUs; nvidiactl and nvidia-uvm are not."""
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()

    assert given_gpus(tmp_path) == 2


def test_a_new_worker_gets_the_gpu_of_the_one_it_follows():
    """Each living worker has a GPU of its own, whichever of them died."""
    assert [free_gpu(4, taken) for taken in (set(), {0}, {0, 2, 3}, {1, 2, 3})] == [0, 1, 1, 0]


@without_gpu
def test_the_cpu_is_used_where_no_gpu_was_given():
    """A CPU instance is a device like any other."""
    assert device_in_use(given=0, is_required=False).startswith("CPU")


@without_gpu
@pytest.mark.parametrize(("given", "is_required"), [(1, False), (0, True)])
def test_a_gpu_that_torch_cannot_use_ends_the_start(given, is_required):
    """Not found out from the bill: given or required, and not usable, is an error."""
    with pytest.raises(ModelError, match=f"gives the container {given} NVIDIA GPUs"):
        device_in_use(given, is_required)
