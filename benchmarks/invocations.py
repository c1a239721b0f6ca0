"""What HTTP costs: /invocations against the engine alone: `python -m benchmarks.invocations`.

The same texts go through the classifier in this process, through the real server as one request
(MultiRecord), and one a request with eight in flight (SingleRecord). The three take turns, ratios
are taken within a round, figures are medians. Exits 1 if one is under its floor.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from transformers import AutoTokenizer

ROOT = Path(__file__).parents[1]
# The container's modules import each other as they do in their image, where this is the root.
sys.path.insert(0, str(ROOT / "custom_container"))

from benchmarks.documents import generated_texts, save_base_model  # noqa: E402
from benchmarks.image_environment import start_as_in_the_image  # noqa: E402
from src.inference import model_fn  # noqa: E402
from tests.custom_container.container_server import Server, serving  # noqa: E402

IN_FLIGHT = 8
FLOORS = {"MultiRecord": 0.97, "SingleRecord": 0.80}


def seconds_taken(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def many_records(server: Server, texts: Sequence[str]) -> None:
    """All texts in one request."""
    body = "\n".join(texts).encode()
    status, _, answer = server.request("POST", "/invocations", body)
    if status != 200 or len(answer.split(b"\n")) != len(texts):
        raise RuntimeError(f"The server answered {status}: {answer[:200]!r}.")


def single_records(server: Server, texts: Sequence[str]) -> None:
    """One text a request, IN_FLIGHT of them at any time."""
    with ThreadPoolExecutor(IN_FLIGHT) as clients:
        list(clients.map(lambda text: many_records(server, [text]), texts))


def measured(model_dir: Path, log: Path, documents: int, rounds: int) -> dict[str, float]:
    """Documents a second of the engine, and the share of them that either way of asking reaches."""
    texts = generated_texts(documents, AutoTokenizer.from_pretrained(model_dir))
    classifier = model_fn(model_dir)
    shares: dict[str, list[float]] = {name: [] for name in FLOORS}
    engine_seconds = []
    with serving(ROOT / "custom_container", model_dir, log) as server:
        server.wait_until_loaded()
        many_records(server, texts)
        for _ in range(rounds):
            alone = seconds_taken(lambda: classifier.classify(texts))
            engine_seconds.append(alone)
            shares["MultiRecord"].append(alone / seconds_taken(lambda: many_records(server, texts)))
            shares["SingleRecord"].append(
                alone / seconds_taken(lambda: single_records(server, texts))
            )
    medians = {name: round(median(own), 3) for name, own in shares.items()}
    return {"engine_documents_per_second": round(documents / median(engine_seconds), 2), **medians}


def main() -> int:
    """Run from the command line, the engine under the image's variables as the server is."""
    start_as_in_the_image()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model-dir", type=Path, help="instead of ModernBERT-base's shapes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model_dir = arguments.model_dir or Path(folder) / "model"
        if not arguments.model_dir:
            save_base_model(model_dir)
        figures = measured(model_dir, Path(folder) / "log", arguments.documents, arguments.rounds)
    print(json.dumps({**figures, "floors": FLOORS}, indent=2))
    return 0 if all(figures[name] >= floor for name, floor in FLOORS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
