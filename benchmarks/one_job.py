"""One process's life, as one JSON line: load a model, answer one document, then many.

`python -m benchmarks.one_job FOLDER DOCUMENTS PRECISION`, started by benchmarks.inference_core so
that times begin with the process and memory is this process's alone. DOCUMENTS is a multiple of 16,
always the same 16: more different ones would also be longer ones, whose attention costs more.
"""

import time

_began = time.monotonic()

import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "custom_container"))


def peak_in_mib() -> float:
    """The largest resident memory of this process so far.

    getrusage would not do: its figure is inherited from the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main(folder: str, documents: int, precision: str) -> None:
    """Print what was measured."""
    logging.disable()
    from src import classifier, forward_pass, heads, inference, model_folder  # noqa: F401, PLC0415

    imported = peak_in_mib()
    model = inference.model_fn(folder, inference_precision=precision)
    model.classify(["The landlord has kept the deposit."])
    first_answer, loaded = time.monotonic() - _began, peak_in_mib()

    from transformers import AutoTokenizer  # noqa: PLC0415

    from benchmarks.documents import generated_texts  # noqa: PLC0415

    texts = generated_texts(16, AutoTokenizer.from_pretrained(folder)) * (documents // 16)
    began = time.monotonic()
    tokens = model.classify(texts).tokens
    print(
        json.dumps(
            {
                "first_answer_in_seconds": first_answer,
                "imported_in_mib": imported,
                "loaded_in_mib": loaded,
                "seconds": time.monotonic() - began,
                "tokens": tokens,
                "peak_in_mib": peak_in_mib(),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
