"""The inference core against its peers and this CPU's limit: `python -m benchmarks.inference_core`.

Contenders take turns, each in a process of its own, so that whatever else the machine does befalls
them alike; figures are medians over the rounds, ratios are taken within a round. Prints each figure
with its floor and its goal, and exits 1 if one is under its floor.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from transformers import AutoConfig, AutoTokenizer

ROOT = Path(__file__).parents[1]
# The container's modules import each other as they do in their image, where this is the root.
sys.path.insert(0, str(ROOT / "custom_container"))

from benchmarks import contenders  # noqa: E402
from benchmarks.documents import (  # noqa: E402
    floating_point_operations,
    gemm_shapes,
    generated_texts,
    save_base_model,
)
from benchmarks.figures import Figure, report  # noqa: E402
from benchmarks.image_environment import start_as_in_the_image  # noqa: E402
from benchmarks.turns import Contender, Turn  # noqa: E402
from src.precision import Precision  # noqa: E402
from src.token_windows import TokenIds, TokenWindows  # noqa: E402

PIPELINE = "transformers pipeline, one text at a time, fp32"
STOCK = "transformers bf16, sorted rectangles"
OPENVINO = "OpenVINO bf16, sorted rectangles"
STOCK_LAYERS = "bf16, packed, transformers' own layers"
OURS = {
    precision: f"ours, {precision}"
    for precision in (Precision.FP32, Precision.BF16, Precision.INT8)
}
PRODUCTS = {precision: f"matrix products in {precision}" for precision in OURS}
WEIGHTS = "model.safetensors"


def interleaved(contenders: dict[str, Contender], rounds: int) -> dict[str, list[Turn]]:
    """What the turns of each contender gave, round by round; one round goes before, to warm up."""
    for contender in contenders.values():
        contender.turn()
    turns: dict[str, list[Turn]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            turns[name].append(contender.turn())
    return turns


def jobs(folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """What one process needs for 16 documents, and another for 160, the kernels being compiled."""
    with tempfile.TemporaryDirectory() as kernels:
        _job(folder, 1, kernels)  # leaves them there, as the image's build does for containers
        return _job(folder, 16, kernels), _job(folder, 160, kernels)


def _job(folder: Path, documents: int, kernels: str) -> dict[str, float]:
    """One process's life."""
    outcome = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "benchmarks.one_job", folder, str(documents), ""],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": kernels},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(outcome.stdout)


def classifying(
    folder: Path, texts: Sequence[str], documents: Sequence[TokenIds]
) -> dict[str, Contender]:
    """The peers and ours, each with the same documents."""
    runs = {PIPELINE: Contender(contenders.stock_pipeline, folder, texts)}
    runs[STOCK] = Contender(contenders.stock_bf16, folder, documents)
    if contenders.has_openvino():
        runs[OPENVINO] = Contender(contenders.openvino_bf16, folder, documents)
    runs[STOCK_LAYERS] = Contender(contenders.bf16_in_stock_layers, folder, documents)
    for precision, name in OURS.items():
        runs[name] = Contender(contenders.ours, folder, documents, precision)
    return runs


def measure(folder: Path, texts: Sequence[str], rounds: int) -> list[Figure]:
    """Run all contenders and print their speeds; gives the figures that have bounds."""
    windows = TokenWindows(AutoTokenizer.from_pretrained(folder), 8192)(texts)
    documents = [own[0] for own in windows]
    lengths = [len(document) for document in documents]
    config = AutoConfig.from_pretrained(folder)
    operations = floating_point_operations(config, lengths)
    print(f"{len(texts)} documents, {sum(lengths)} tokens, longest {max(lengths)}")

    runs = classifying(folder, texts, documents)
    products = {
        name: Contender(contenders.matrix_products, precision, gemm_shapes(config))
        for precision, name in PRODUCTS.items()
    }
    turns = interleaved({**runs, **products}, rounds)
    seconds = {name: [turn.seconds for turn in turns[name]] for name in runs}
    peaks = {name: [turn.outcome for turn in turns[name]] for name in products}
    probabilities = {name: turns[name][0].outcome.softmax(dim=-1) for name in runs}

    def times(name: str, other: str) -> float:
        pairs = zip(seconds[other], seconds[name], strict=True)
        return median(theirs / own for theirs, own in pairs)

    def of_peak(precision: Precision) -> float:
        pairs = zip(seconds[OURS[precision]], peaks[PRODUCTS[precision]], strict=True)
        return median(100 * operations / own / peak for own, peak in pairs)

    expected = probabilities[PIPELINE]
    print(f"{'':50}{'tokens/s':>10}{'x pipeline':>12}{'max change of a probability':>30}")
    for name in runs:
        change = (probabilities[name] - expected).abs().max().item()
        speed = sum(lengths) / median(seconds[name])
        print(f"{name:50}{speed:>10,.0f}{times(name, PIPELINE):>12.2f}{change:>30.1e}")
    for name, peak in peaks.items():
        print(f"{name}: {median(peak) / 1e9:,.0f} GFLOP/s")

    fp32_change = (probabilities[OURS[Precision.FP32]] - expected).abs().max().item()
    figures = [
        Figure("bf16 x pipeline", times(OURS[Precision.BF16], PIPELINE), 2.3, 2.8),
        Figure("bf16 % of the peak", of_peak(Precision.BF16), 60, 75),
        Figure("fp32 % of the peak", of_peak(Precision.FP32), 70, 80),
        Figure("fp32 change of a probability", fp32_change, 1e-5, 1e-5, at_most=True),
        Figure("int8 x pipeline", times(OURS[Precision.INT8], PIPELINE), 3, 4),
    ]
    figures.append(
        Figure(
            "bf16 x transformers' own layers", times(OURS[Precision.BF16], STOCK_LAYERS), 1.15, 1.15
        )
    )
    if OPENVINO in runs:
        figures.append(Figure("bf16 x OpenVINO", times(OURS[Precision.BF16], OPENVINO), 1.2, 1.5))
    return figures


def lives(folder: Path) -> list[Figure]:
    """The figures of whole processes: start, memory, and ten times the documents."""
    few, many = jobs(folder)
    growth = many["seconds"] / many["tokens"] / (few["seconds"] / few["tokens"])
    weights_in_mib = (folder / WEIGHTS).stat().st_size / 2**20
    loading = (few["loaded_in_mib"] - few["imported_in_mib"]) / weights_in_mib
    memory = many["peak_in_mib"] / few["peak_in_mib"]
    return [
        Figure("seconds to the first answer", few["first_answer_in_seconds"], 10, 10, at_most=True),
        Figure("peak at load, x the weights", loading, 1.3, 1.3, at_most=True),
        Figure("10 x the documents, time a token x", growth, 1.05, 1.05, at_most=True),
        Figure("10 x the documents, memory x", memory, 1.1, 1.1, at_most=True),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--documents", type=int, default=24, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--texts", type=Path, help="real texts, one a line, instead of generated")
    parser.add_argument("--model", type=Path, help="a model folder instead of random weights")
    return parser.parse_args()


def main() -> int:
    """Measure, print, judge."""
    start_as_in_the_image()
    arguments = _arguments()
    print(f"torch {version('torch')}, transformers {version('transformers')}, ", end="")
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model or Path(temporary)
        if not arguments.model:
            save_base_model(folder)
        if arguments.texts:
            texts = arguments.texts.read_text("utf-8").split("\n")[: arguments.documents]
        else:
            tokenizer = AutoTokenizer.from_pretrained(folder)
            texts = generated_texts(arguments.documents, tokenizer)
        # First, while no contender's process holds memory.
        figures = lives(folder)
        figures += measure(folder, texts, arguments.rounds)
    is_under = report(figures)
    print(f"load {os.getloadavg()[0]:.1f}")
    return is_under


if __name__ == "__main__":
    sys.exit(main())
