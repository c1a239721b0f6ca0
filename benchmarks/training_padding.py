"""Training with batches of one length against the usual padding of every text to 512 tokens.

    python -m benchmarks.training_padding TEXTS [--batches 12] [--rounds 3]

TEXTS holds one document a line. Both ways take the same texts in the same batch size through the
same model, forward and backward, in turns, so that a busy machine slows both. Prints examples a
second of each way and the median of the rounds' ratios; exits 1 below the floor.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import DataCollatorWithPadding

from fine_tuning.from_scratch import tiny_model, tiny_tokenizer
from fine_tuning.length_groups import LengthGroupedSampler
from fine_tuning.problem_types import SingleLabel

MAX_LENGTH_TOKENS = 512
BATCH_SIZE = 16
FLOOR = 1.5
"""Times as many examples a second."""


def main() -> int:
    """Measure, print, and compare with the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    texts = options.texts.read_text(encoding="utf-8").splitlines()
    tokenizer = tiny_tokenizer(texts)
    problem = SingleLabel(("a", "b"))
    model = tiny_model(tokenizer, problem).train()
    encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH_TOKENS)["input_ids"]
    # A random part of all texts, and the same part both ways.
    sampler = LengthGroupedSampler([1] * len(encoded), BATCH_SIZE, seed=1)
    encoded = [encoded[place] for place in list(sampler)[: options.batches * BATCH_SIZE]]
    lengths = [len(token_ids) for token_ids in encoded]
    grouped = LengthGroupedSampler(lengths, BATCH_SIZE, seed=1)
    collate = {
        "grouped by length": DataCollatorWithPadding(tokenizer),
        "padded to 512": DataCollatorWithPadding(
            tokenizer, padding="max_length", max_length=MAX_LENGTH_TOKENS
        ),
    }

    def examples_a_second(collator: Callable, order: Sequence[int]) -> float:
        started = time.perf_counter()
        for start in range(0, len(order), BATCH_SIZE):
            places = order[start : start + BATCH_SIZE]
            batch = collator([{"input_ids": encoded[place]} for place in places])
            logits = model(**batch).logits
            targets = torch.zeros(len(places), dtype=torch.long)
            problem.loss(logits, problem.softened(targets, 0.0)).backward()
            model.zero_grad()
        return len(order) / (time.perf_counter() - started)

    ratios = []
    for _ in range(options.rounds):
        speed = {
            name: examples_a_second(collator, list(grouped)) for name, collator in collate.items()
        }
        ratios.append(speed["grouped by length"] / speed["padded to 512"])
        print(", ".join(f"{name}: {value:.1f} examples/s" for name, value in speed.items()))
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.2f}, floor {FLOOR}; {Path('/proc/loadavg').read_text().strip()}")
    return 0 if ratio >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
