"""The inference core on a GPU, its peers and the server around it: `python -m benchmarks.gpu`.

Contenders take turns in one process; figures are medians over the rounds, ratios are taken within
a round. Then whole texts go through the classifier and through the real server. Prints each figure
with its floor and its goal, and exits 1 if one is under its floor. Ends at once without a GPU.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer

ROOT = Path(__file__).parents[1]
# The container's modules import each other as they do in their image, where this is the root.
sys.path.insert(0, str(ROOT / "custom_container"))

from benchmarks.contenders import load  # noqa: E402
from benchmarks.documents import (  # noqa: E402
    complaint_lengths,
    floating_point_operations,
    generated_texts,
    save_base_model,
)
from benchmarks.figures import Figure, report  # noqa: E402
from benchmarks.image_environment import start_as_in_the_image  # noqa: E402
from benchmarks.invocations import many_records  # noqa: E402
from src.forward_pass import (  # noqa: E402
    ForwardPass,
    PackedForwardPass,
    PaddedForwardPass,
    forward_pass_for,
)
from src.inference import model_fn  # noqa: E402
from src.precision import Precision  # noqa: E402
from src.token_windows import TokenIds  # noqa: E402
from tests.custom_container.container_server import Server, serving  # noqa: E402

# Multiplications of bf16 that an H200 was seen to do in a second, dense.
H200_OPERATIONS = 790e12
GPU_TOKENS = 2**17
# Of a rectangle: of 16,384, 32,768 and 65,536 the fastest for the padded peer.
RECTANGLE_TOKENS = 2**15
IN_FLIGHT = 4
SINGLE_IN_FLIGHT = 16
PADDED = "transformers bf16 sdpa, sorted rectangles"
STOCK_LAYERS = "bf16, packed, transformers' own layers"
OURS = "ours, bf16"


def stock_bf16(folder: Path) -> ForwardPass:
    """transformers' own forward over rectangles."""
    return PaddedForwardPass(load(folder, torch.bfloat16).to("cuda"))


def packed_in_stock_layers(folder: Path) -> ForwardPass:
    """Packed rows through transformers' own ModernBERT layers."""
    model = load(folder, torch.bfloat16).to("cuda")
    return PackedForwardPass(model)


def ours(folder: Path) -> ForwardPass:
    """What the container computes."""
    return forward_pass_for(load(folder).to("cuda"), 8192, Precision.BF16)


def classified(forward_pass: ForwardPass, documents: Sequence[TokenIds], max_tokens: int) -> Tensor:
    """Logits [documents, labels], two micro-batches under way as in the container."""
    lengths = [len(document) for document in documents]
    micro_batches = forward_pass.micro_batches(lengths, max_tokens)
    with ThreadPoolExecutor(2) as threads:
        answers = threads.map(
            lambda places: forward_pass.logits([documents[place] for place in places]),
            micro_batches,
        )
        logits = torch.cat(list(answers))
    places = [place for micro_batch in micro_batches for place in micro_batch]
    return logits[torch.tensor(places).argsort()]


def seconds_of(run: Callable[[], object]) -> float:
    """How long it takes, what it left to the GPU included."""
    began = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def forward_figures(folder: Path, count: int, rounds: int) -> list[Figure]:
    """Token ids in, logits out, beside the peers."""
    generator, lengths = np.random.default_rng(0), complaint_lengths(count)
    documents = [generator.integers(10, 2000, length, dtype=np.int32) for length in lengths]
    operations = floating_point_operations(AutoConfig.from_pretrained(folder), lengths)
    contenders = {
        PADDED: (stock_bf16(folder), RECTANGLE_TOKENS),
        STOCK_LAYERS: (packed_in_stock_layers(folder), GPU_TOKENS),
        OURS: (ours(folder), GPU_TOKENS),
    }
    exact = PaddedForwardPass(load(folder).to("cuda"))
    sample = documents[:64]
    expected = torch.cat([exact.logits([document]) for document in sample]).softmax(dim=-1)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for measured in [False] + [True] * rounds:
        for name, (forward_pass, budget) in contenders.items():
            own = seconds_of(lambda f=forward_pass, b=budget: classified(f, documents, b))
            if measured:
                seconds[name].append(own)
    print(f"{count} documents, {sum(lengths)} tokens, longest {max(lengths)}")
    print(f"{'':50}{'tokens/s':>12}{'% of 790 TFLOP/s':>20}{'max change of a probability':>30}")
    for name, (forward_pass, budget) in contenders.items():
        got = classified(forward_pass, sample, budget).softmax(dim=-1)
        speed = 1 / median(seconds[name])
        print(
            f"{name:50}{sum(lengths) * speed:>12,.0f}"
            f"{100 * operations * speed / H200_OPERATIONS:>20.1f}"
            f"{(got - expected).abs().max().item():>30.1e}"
        )

    def times(other: str) -> float:
        pairs = zip(seconds[other], seconds[OURS], strict=True)
        return median(theirs / own for theirs, own in pairs)

    return [
        Figure("ours x padded sdpa", times(PADDED), 3, 3),
        Figure("ours x transformers' own layers", times(STOCK_LAYERS), 1.15, 1.15),
    ]


def service_figures(folder: Path, log: Path, count: int, rounds: int) -> list[Figure]:
    """Texts in, answers out: the classifier alone, and through HTTP."""
    config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = generated_texts(1000, tokenizer) * (count // 1000)
    lengths = [len(ids) for ids in tokenizer(texts).input_ids]
    operations = floating_point_operations(config, lengths)
    parts = [texts[first :: 4 * IN_FLIGHT] for first in range(4 * IN_FLIGHT)]
    few = texts[:1000]
    classifier = model_fn(folder)

    def alone() -> None:
        with ThreadPoolExecutor(IN_FLIGHT) as clients:
            list(clients.map(classifier.classify, parts))

    def requests(server: Server, bodies: Sequence[Sequence[str]], in_flight: int) -> None:
        with ThreadPoolExecutor(in_flight) as clients:
            list(clients.map(lambda body: many_records(server, body), bodies))

    seconds: dict[str, list[float]] = {"alone": [], "many": [], "single": []}
    # Where a driver's libraries may lie; the rest of its environment is the image's.
    libraries = {"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
    with serving(ROOT / "custom_container", folder, log, **libraries) as server:
        server.wait_until_loaded()
        runs = {
            "alone": alone,
            "many": lambda: requests(server, parts, IN_FLIGHT),
            "single": lambda: requests(server, [[text] for text in few], SINGLE_IN_FLIGHT),
        }
        for measured in [False] + [True] * rounds:
            for name, run in runs.items():
                own = seconds_of(run)
                if measured:
                    seconds[name].append(own)
    medians = {name: median(own) for name, own in seconds.items()}
    of_limit = 100 * operations / medians["many"] / H200_OPERATIONS
    through_http = median(
        own / many for own, many in zip(seconds["alone"], seconds["many"], strict=True)
    )
    print(f"{len(texts)} texts, {sum(lengths)} tokens: classifier alone ", end="")
    print(f"{sum(lengths) / medians['alone']:,.0f} tokens/s, /invocations ", end="")
    print(
        f"{sum(lengths) / medians['many']:,.0f}; one text a request, {SINGLE_IN_FLIGHT} in ", end=""
    )
    print(f"flight: {len(few) / medians['single']:,.0f} texts/s")
    single = len(few) / medians["single"] / (len(texts) / medians["alone"])
    return [
        Figure("/invocations, % of 790 TFLOP/s", of_limit, 50, 50),
        Figure("/invocations, part of the classifier", through_http, 0.97, 0.97),
        Figure("SingleRecord, part of the classifier", single, 0.8, 0.8),
    ]


def main() -> int:
    """Measure, print, judge."""
    if not torch.cuda.is_available():
        print("There is no GPU that torch can use.")
        return 1
    start_as_in_the_image()
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--documents", type=int, default=4000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--model", type=Path, help="a model folder instead of random weights")
    arguments = parser.parse_args()
    print(
        f"{torch.cuda.get_device_name()}, torch {version('torch')}, CUDA {torch.version.cuda}, ",
        end="",
    )
    print(f"transformers {version('transformers')}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model or Path(temporary) / "model"
        if not arguments.model:
            save_base_model(folder)
        figures = forward_figures(folder, arguments.documents, arguments.rounds)
        torch.cuda.empty_cache()
        figures += service_figures(
            folder, Path(temporary) / "log", 2 * arguments.documents, arguments.rounds
        )
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
