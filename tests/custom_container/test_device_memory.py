"""Device memory: what does not fit goes on in halves, and the budget is what was seen to fit."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch

from src.device_memory import CPU_TOKENS, HalvingForwardPass, fitted_tokens

DEADLINE_IN_SECONDS = 30
GPU = torch.device("cuda")


class SmallDevice:
    """Holds `memory` tokens at once; a document's logits are its first token id."""

    def __init__(self, memory):
        self._memory = memory
        self.runs = []
        self.freed = 0

    def micro_batches(self, lengths, max_tokens):
        """All in one."""
        return [list(range(len(lengths)))]

    def logits(self, documents):
        """[documents, 1]; out of memory beyond what fits."""
        if sum(map(len, documents)) > self._memory:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.runs.append(len(documents))
        return torch.tensor([[float(document[0])] for document in documents])

    def free(self):
        """Counts how often it was asked to."""
        self.freed += 1


def test_a_micro_batch_that_does_not_fit_is_run_in_halves_in_order(caplog):
    """Seven documents of ten tokens on a device of twenty: every answer in its place."""
    device = SmallDevice(20)

    logits = HalvingForwardPass(device, device.free).logits([[n] * 10 for n in range(7)])

    assert logits.flatten().tolist() == list(range(7))
    assert device.runs == [1, 2, 2, 2]
    assert device.freed == 3
    assert "Out of memory: 7 documents go on in halves." in caplog.text


class FullMachine(SmallDevice):
    """A CPU that asks for more memory than there is wherever the small device is full."""

    def logits(self, documents):
        """[documents, 1]; torch's own error beyond what fits."""
        try:
            return super().logits(documents)
        except torch.OutOfMemoryError:
            return torch.empty(2**60)


def test_a_cpu_out_of_memory_goes_on_in_halves_too():
    """torch raises an ordinary RuntimeError there."""
    device = FullMachine(20)

    logits = HalvingForwardPass(device, device.free).logits([[n] * 10 for n in range(4)])

    assert logits.flatten().tolist() == list(range(4))


def test_another_error_is_not_run_again():
    """Half of the documents would fail the same way."""

    class Broken(SmallDevice):
        def logits(self, documents):
            self.runs.append(len(documents))
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    device = Broken(20)

    with pytest.raises(RuntimeError, match="shapes"):
        HalvingForwardPass(device, device.free).logits([[1], [2]])
    assert device.runs == [2]


def test_what_fits_is_run_at_once():
    """Halves cost time: none without need."""
    device = SmallDevice(100)

    HalvingForwardPass(device, device.free).logits([[1] * 10] * 7)

    assert device.runs == [7]


def test_one_document_that_does_not_fit_is_an_error():
    """There is nothing left to halve, and nothing beside it to wait for."""
    device = SmallDevice(20)

    with pytest.raises(torch.OutOfMemoryError):
        HalvingForwardPass(device, device.free).logits([[1] * 30])
    assert device.freed == 1


class SharedDevice(SmallDevice):
    """Holds [1] until [2] was out of memory beside it."""

    def __init__(self):
        super().__init__(1)
        self.holds_first = Event()
        self.second_failed = Event()

    def logits(self, documents):
        """[documents, 1]; out of memory while [1] is held."""
        if documents == [[1]]:
            self.holds_first.set()
            assert self.second_failed.wait(DEADLINE_IN_SECONDS)
            self.holds_first.clear()
        elif self.holds_first.is_set():
            self.second_failed.set()
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().logits(documents)


def test_a_document_that_fits_beside_no_other_waits_for_the_other(caplog):
    """Two micro-batches are under way on a GPU; the budget was fitted to their memory, not more."""
    device = SharedDevice()
    forward_pass = HalvingForwardPass(device, device.free)
    with ThreadPoolExecutor(1) as other_thread:
        first = other_thread.submit(forward_pass.logits, [[1]])
        assert device.holds_first.wait(DEADLINE_IN_SECONDS)

        second = forward_pass.logits([[2]])

    assert (first.result().item(), second.item()) == (1, 2)
    assert "a document is tried again beside no other" in caplog.text


@pytest.mark.parametrize(
    ("memory", "budget"), [(8000, 4000), (7999, 2000), (1999, 1000), (10**9, 128_000)]
)
def test_the_budget_is_half_of_what_was_seen_to_fit(memory, budget):
    """Documents of 1,000 tokens, doubled until memory or the most that is useful ends it."""
    device = SmallDevice(memory)

    assert fitted_tokens(device, GPU, 1000, device.free) == budget
    assert device.freed == 1


def test_the_cpu_is_not_tried():
    """Its budget is the measured one."""
    device = SmallDevice(0)

    assert fitted_tokens(device, torch.device("cpu"), 8192, device.free) == CPU_TOKENS
    assert device.runs == []
