"""How many tokens fit the device at once: tried at the start, and halved when it was too many.

Knows token counts and how torch says that memory is out; knows nothing of what a forward pass
computes.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition

import numpy as np
import torch
from torch import Tensor

from src.forward_pass import ForwardPass
from src.micro_batches import MicroBatch
from src.token_windows import TokenIds

logger = logging.getLogger(__name__)
# torch has an error of its own for a GPU's memory alone.
CPU_OUT_OF_MEMORY = "DefaultCPUAllocator: can't allocate memory"
# On CPU larger micro-batches are no faster: 512 to 4,096 tokens measured alike.
CPU_TOKENS = 2048
# On GPU as far as memory goes; matrices of more rows than this are no faster.
MOST_GPU_TOKENS = 2**18


class HalvingForwardPass:
    """A forward pass that runs a micro-batch in halves when memory runs out.

    A single document waits until the device has nothing else to do; if it does not fit then,
    either, that raises what torch raised.
    """

    def __init__(self, forward_pass: ForwardPass, free_memory: Callable[[], None]) -> None:
        self._forward_pass = forward_pass
        self._free_memory = free_memory
        self._under_way = 0
        self._device = Condition()

    def micro_batches(self, lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
        """Divide documents of these lengths, in tokens, into micro-batches."""
        return self._forward_pass.micro_batches(lengths, max_tokens)

    def logits(self, documents: Sequence[TokenIds]) -> Tensor:
        """Logits [documents, labels], fp32, on the CPU, of one micro-batch of token ids."""
        try:
            with self._beside_others():
                return self._forward_pass.logits(documents)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the except clause, whose error would keep the failed tensors alive.
        if len(documents) == 1:
            return self._logits_beside_none(documents)
        self._free_memory()
        half = len(documents) // 2
        logger.warning("Out of memory: %d documents go on in halves.", len(documents))
        return torch.cat([self.logits(documents[:half]), self.logits(documents[half:])])

    @contextmanager
    def _beside_others(self) -> Iterator[None]:
        with self._device:
            self._under_way += 1
        try:
            yield
        finally:
            with self._device:
                self._under_way -= 1
                self._device.notify_all()

    def _logits_beside_none(self, documents: Sequence[TokenIds]) -> Tensor:
        logger.warning("Out of memory: a document is tried again beside no other.")
        # Whoever holds the condition lets no other micro-batch begin.
        with self._device:
            self._device.wait_for(lambda: not self._under_way)
            self._free_memory()
            return self._forward_pass.logits(documents)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch says by `error` that the device's memory does not suffice."""
    return isinstance(error, torch.OutOfMemoryError) or CPU_OUT_OF_MEMORY in str(error)


def fitted_tokens(
    forward_pass: ForwardPass,
    device: torch.device,
    longest_document: int,
    free_memory: Callable[[], None],
) -> int:
    """The token budget of a micro-batch: CPU_TOKENS, or half of what a GPU was seen to hold.

    Half, because two micro-batches are under way at a time. Raises torch.OutOfMemoryError if not
    even one document of `longest_document` tokens fits.
    """
    if device.type == "cpu":
        return CPU_TOKENS
    document = np.zeros(longest_document, np.int32)
    forward_pass.logits([document])
    documents = 1
    while 2 * documents * longest_document <= MOST_GPU_TOKENS:
        try:
            forward_pass.logits([document] * (2 * documents))
        except torch.OutOfMemoryError:
            break
        documents *= 2
    free_memory()
    return max(1, documents // 2) * longest_document
