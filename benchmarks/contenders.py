"""The ways to classify the same texts that the benchmark compares, ours and the peers'.

Each is made once and then called with nothing: it classifies all texts and gives their logits.
Those that take token ids get the same micro-batches where they pad, so that a peer is not slow for
its caller's padding. The last one multiplies matrices as ours does, and nothing else.
"""

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    pipeline,
)
from transformers.utils import logging as transformers_logging

from src.device_memory import CPU_TOKENS
from src.forward_pass import (
    ForwardPass,
    PackedForwardPass,
    PaddedForwardPass,
    forward_pass_for,
    set_precision,
)
from src.linear_layers import Int8Product, linear_layer, replace_linear_layers
from src.micro_batches import MicroBatch, padded_micro_batches
from src.precision import DTYPES, Precision, layers_format
from src.token_windows import TokenIds

Classify = Callable[[], Tensor]
# Of a rectangle: with 2,048, more of it is padding, and the peers are slower.
RECTANGLE_TOKENS = 1024
GEMM_ROWS = 1024

# Every contender's process imports this module, and none is to write into the table.
transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


def load(folder: Path, dtype: torch.dtype = torch.float32, **options: str) -> PreTrainedModel:
    """The model of a folder, by transformers alone."""
    return AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype, **options).eval()


def stock_pipeline(folder: Path, texts: Sequence[str]) -> Classify:
    """transformers' text-classification pipeline, one text at a time, fp32: its own default."""
    classify = pipeline(
        "text-classification",
        model=load(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        batch_size=1,
        function_to_apply="none",
        top_k=None,
    )

    def run() -> Tensor:
        answers = (
            sorted(answer, key=lambda label: int(label["label"].split("_")[-1]))
            for answer in classify(list(texts))
        )
        return torch.tensor([[label["score"] for label in answer] for answer in answers])

    return run


def stock_bf16(folder: Path, documents: Sequence[TokenIds]) -> Classify:
    """transformers' own forward in bf16 over our length-sorted rectangles."""
    return _all(PaddedForwardPass(load(folder, torch.bfloat16)), documents)


def ours(folder: Path, documents: Sequence[TokenIds], precision: Precision) -> Classify:
    """What the container computes in this precision; int8 without its gate's sample texts."""
    model = load(folder)
    if precision == Precision.INT8:
        forward_pass: ForwardPass = PackedForwardPass(model)
        set_precision(model, precision, is_packed=True)
    else:
        forward_pass = forward_pass_for(model, 8192, precision)
    return _all(forward_pass, documents)


def bf16_in_stock_layers(folder: Path, documents: Sequence[TokenIds]) -> Classify:
    """Packed rows and our linear layers within transformers' own ModernBERT layers."""
    model = load(folder)
    forward_pass = PackedForwardPass(model)
    replace_linear_layers(model.base_model, linear_layer, torch.bfloat16)
    return _all(forward_pass, documents)


def _all(forward_pass: ForwardPass, documents: Sequence[TokenIds]) -> Classify:
    lengths = [len(document) for document in documents]
    is_padded = isinstance(forward_pass, PaddedForwardPass)
    max_tokens = RECTANGLE_TOKENS if is_padded else CPU_TOKENS
    micro_batches = forward_pass.micro_batches(lengths, max_tokens)
    return lambda: torch.stack(_answers_in_order(documents, micro_batches, forward_pass.logits))


def has_openvino() -> bool:
    """Whether OpenVINO is installed; requirements-benchmarks.txt brings it."""
    return importlib.util.find_spec("openvino") is not None


def openvino_bf16(folder: Path, documents: Sequence[TokenIds]) -> Classify:
    """OpenVINO in bf16 over the same rectangles as `stock_bf16`.

    From the eager attention: traced from the other, padding gives NaN.
    """
    import openvino  # noqa: PLC0415

    example = {
        "input_ids": torch.tensor([[5, 6, 7, 8], [5, 6, 7, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    }
    with warnings.catch_warnings(action="ignore"):
        model = openvino.convert_model(
            load(folder, attn_implementation="eager"), example_input=example
        )
    compiled = openvino.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "bf16",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        },
    )
    lengths = [len(document) for document in documents]
    rectangles = padded_micro_batches(lengths, RECTANGLE_TOKENS)

    def logits(rows: list[TokenIds]) -> Tensor:
        longest = max(map(len, rows))
        padding = [[0] * (longest - len(row)) for row in rows]
        inputs = {
            "input_ids": torch.tensor(
                [[*row, *rest] for row, rest in zip(rows, padding, strict=True)]
            ).numpy(),
            "attention_mask": torch.tensor(
                [[1] * len(row) + rest for row, rest in zip(rows, padding, strict=True)]
            ).numpy(),
        }
        return torch.from_numpy(compiled(inputs)[0].copy()).float()

    return lambda: torch.stack(_answers_in_order(documents, rectangles, logits))


def _answers_in_order(
    documents: Sequence[TokenIds],
    micro_batches: Iterable[MicroBatch],
    forward: Callable[[list[TokenIds]], Iterable[Tensor]],
) -> list[Tensor]:
    """Run each micro-batch and put the answers back in the order of the documents."""
    answers: dict[int, Tensor] = {}
    for positions in micro_batches:
        answered = forward([documents[position] for position in positions])
        answers.update(zip(positions, answered, strict=True))
    return [answers[position] for position in range(len(documents))]


def matrix_products(precision: Precision, shapes: Sequence[tuple[int, int]]) -> Callable[[], float]:
    """The layers' own products over (in_features, out_features): the best of some, in FLOP/s."""
    products = [
        (_product(precision, *shape), 2 * GEMM_ROWS * shape[0] * shape[1]) for shape in shapes
    ]

    def run() -> float:
        seconds = sum(min(_seconds_of(run) for _ in range(30)) for run, _ in products)
        return sum(operations for _, operations in products) / seconds

    return run


def _product(precision: Precision, in_features: int, out_features: int) -> Callable[[], Tensor]:
    linear = nn.Linear(in_features, out_features, bias=False)
    if precision == Precision.INT8:
        weight = torch.ones(out_features, in_features, dtype=torch.int8)
        product = Int8Product(weight, torch.ones(out_features), layers_format(precision))
        activations = torch.ones(GEMM_ROWS, in_features, dtype=torch.uint8)
        return lambda: product(activations)
    dtype = DTYPES[precision]
    layer, rows = linear_layer(linear, dtype), torch.ones(GEMM_ROWS, in_features, dtype=dtype)
    return lambda: layer(rows)


@torch.inference_mode()
def _seconds_of(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
