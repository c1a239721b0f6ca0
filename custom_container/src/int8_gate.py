"""The gate before int8: how much of the answers it changes, on texts the model's owner chose.

Knows logits in fp32 and in int8; knows neither texts nor how either was computed.
"""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from src.errors import ModelError

logger = logging.getLogger(__name__)
# Fewer samples would tell nothing of one document in a hundred.
LEAST_SAMPLES = 100
LEAST_AGREEMENT = 0.99
LARGEST_CHANGE = 0.05


def check_int8(
    in_fp32: Sequence[Tensor], in_int8: Sequence[Tensor], scores: Callable[[Tensor], Tensor]
) -> None:
    """Compare the logits [1, labels] of each sample; raises ModelError below the bar.

    The bar: the same label wins on LEAST_AGREEMENT of the samples, and none of the `scores` that
    the model's head makes of logits moves by more than LARGEST_CHANGE.
    """
    if len(in_fp32) < LEAST_SAMPLES:
        raise ModelError(
            f"INFERENCE_PRECISION is int8, which is admitted only on sample texts: got "
            f"{len(in_fp32)}, expected at least {LEAST_SAMPLES} in the model folder's "
            "sample_texts.txt, one a line. Package them with the model, or leave it unset."
        )
    expected, got = torch.cat(list(in_fp32)), torch.cat(list(in_int8))
    agreement = (expected.argmax(dim=-1) == got.argmax(dim=-1)).float().mean().item()
    change = (scores(expected) - scores(got)).abs().max().item()
    measured = (
        f"{agreement:.2%} of {len(expected)} sample texts keep their class, and scores "
        f"change by {change:.3f} at most"
    )
    if agreement < LEAST_AGREEMENT or not change <= LARGEST_CHANGE:
        raise ModelError(
            f"int8 changes this model's answers too much: {measured}; expected "
            f"{LEAST_AGREEMENT:.0%} and {LARGEST_CHANGE}. Leave INFERENCE_PRECISION unset."
        )
    logger.info("int8 admitted: %s.", measured)
