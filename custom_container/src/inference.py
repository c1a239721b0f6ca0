"""SageMaker's verbs: a request is input_fn, then predict_fn, then output_fn.

Knows which record gets which answer; what a record looks like, a model does or a status means is
told in other modules. Importing it does not import torch, so that a server can answer at once.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from src.devices import device_in_use, given_gpus
from src.documents import Document, Record, RejectedRecord
from src.records import JSON_LINES, WRITERS, read_records
from src.scheduler import Scheduler, always
from src.settings import DEFAULT_MAX_TOKENS_PER_MICRO_BATCH, DEFAULT_TOP_K, FASTEST_PRECISION

if TYPE_CHECKING:
    from src.classifier import Classification, Classifier

logger = logging.getLogger(__name__)
NOT_A_NUMBER = RejectedRecord(
    "NotANumber",
    "The model's logits for this document are NaN or infinite. If that goes for many, set "
    "INFERENCE_PRECISION=fp32 in the transform job's environment.",
)


@dataclass(frozen=True)
class Answers:
    """One JSON object per record, in the records' order, each made when its turn comes."""

    records: Sequence[Record]
    classification: "Classification"

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        predictions = iter(self.classification.predictions)
        for record in self.records:
            yield _answer(record, next(predictions) if isinstance(record, Document) else None)

    @property
    def failed(self) -> int:
        """How many records have an error instead of a prediction."""
        rejected = sum(isinstance(record, RejectedRecord) for record in self.records)
        return rejected + self.classification.missing


def model_fn(
    model_dir: str | Path,
    top_k: int = DEFAULT_TOP_K,
    max_tokens_per_micro_batch: int = DEFAULT_MAX_TOKENS_PER_MICRO_BATCH,
    require_gpu: bool = False,
    inference_precision: str = FASTEST_PRECISION,
) -> "Classifier":
    """Load the model artefact in `model_dir`; raises ModelError with the reason if it cannot be."""
    # Imported here, because these import torch, which takes seconds.
    import torch  # noqa: PLC0415

    from src.cpu_operations import compile_kernels  # noqa: PLC0415
    from src.precision import (  # noqa: PLC0415
        Precision,
        checked_precision,
        device_of_inference,
        layers_format,
    )

    logger.info("Device: %s.", device_in_use(given_gpus(), require_gpu))
    device = device_of_inference()
    precision = checked_precision(inference_precision, device)
    if device.type == "cpu":
        compiling = layers_format(precision), precision == Precision.INT8
        Thread(target=compile_kernels, args=compiling, name="compile", daemon=True).start()

    # Those that take longest come last, beside the compiling.
    from src.classifier import Classifier  # noqa: PLC0415
    from src.device_memory import HalvingForwardPass, fitted_tokens  # noqa: PLC0415
    from src.forward_pass import forward_pass_for  # noqa: PLC0415
    from src.heads import head_for  # noqa: PLC0415
    from src.model_folder import load_model_folder  # noqa: PLC0415
    from src.token_windows import TokenWindows  # noqa: PLC0415

    folder = load_model_folder(Path(model_dir))
    token_windows = TokenWindows(folder.tokenizer, folder.max_length)
    forward_pass = forward_pass_for(
        folder.model.to(device),
        folder.max_length,
        precision,
        [windows[0] for windows in token_windows(folder.sample_texts)],
    )
    free_memory = torch.cuda.empty_cache
    max_tokens = max_tokens_per_micro_batch or fitted_tokens(
        forward_pass, device, folder.max_length, free_memory
    )
    logger.info("Micro-batches of up to %d tokens.", max_tokens)
    return Classifier(
        token_windows,
        Scheduler(
            HalvingForwardPass(forward_pass, free_memory),
            max_tokens,
            under_way=1 if device.type == "cpu" else 2,
        ),
        head_for(folder.model.config, folder.labels, top_k),
    )


def input_fn(body: bytes, content_type: str) -> list[Record]:
    """The records of a request body; raises UnreadableRequest or UnsupportedContentType."""
    return read_records(body, content_type)


def predict_fn(
    records: Sequence[Record], model: "Classifier", is_wanted: Callable[[], bool] = always
) -> Answers:
    """Answer every record in its own place, the rejected ones with their error.

    Raises ClientGone as soon as `is_wanted` says that nobody waits for the answers.
    """
    texts = [record.text for record in records if isinstance(record, Document)]
    return Answers(records, batch_predict_fn(texts, model, is_wanted))


def _answer(record: Record, prediction: dict[str, Any] | None) -> dict[str, Any]:
    """The prediction of a record, or why it has none."""
    if prediction is not None:
        return {**record.echo, "predictions": prediction}
    if isinstance(record, Document):
        return replace(NOT_A_NUMBER, echo=record.echo).answer
    return record.answer


def batch_predict_fn(
    texts: Sequence[str], model: "Classifier", is_wanted: Callable[[], bool] = always
) -> "Classification":
    """Classify documents together, however many they are."""
    return model.classify(texts, is_wanted)


def output_fn(answers: Answers, accept: str = JSON_LINES) -> bytes:
    """The response body in the content type `accept`, one of records.WRITERS."""
    return WRITERS[accept](answers)
