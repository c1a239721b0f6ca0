"""SageMaker's verbs: a request is input_fn, then predict_fn, then output_fn.

Knows which record gets which answer; what a record looks like, a model does or a status means is
told in other modules. Importing it does not import torch, so that a server can answer at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.records import JSON_LINES, WRITERS, Document, Record, read_records
from src.settings import DEFAULT_MAX_TOKENS_PER_MICRO_BATCH, DEFAULT_TOP_K

if TYPE_CHECKING:
    from src.classifier import Classification, Classifier


@dataclass(frozen=True)
class Answers:
    """One JSON object per record, in the records' order, and what they took."""

    records: list[dict[str, Any]]
    failed: int
    tokens: int
    micro_batches: int


def model_fn(
    model_dir: Path,
    top_k: int = DEFAULT_TOP_K,
    max_tokens_per_micro_batch: int = DEFAULT_MAX_TOKENS_PER_MICRO_BATCH,
) -> "Classifier":
    """Load the model artefact in `model_dir`; raises ModelError with the reason if it cannot be."""
    # Imported here, because these import torch, which takes seconds.
    from src.classifier import Classifier  # noqa: PLC0415
    from src.forward_pass import forward_pass_for  # noqa: PLC0415
    from src.model_folder import load_model_folder  # noqa: PLC0415
    from src.scheduler import Scheduler  # noqa: PLC0415
    from src.token_windows import TokenWindows  # noqa: PLC0415

    folder = load_model_folder(model_dir)
    return Classifier(
        TokenWindows(folder.tokenizer, folder.max_length),
        Scheduler(forward_pass_for(folder.model, folder.max_length), max_tokens_per_micro_batch),
        folder.labels,
        top_k,
    )


def input_fn(body: bytes, content_type: str) -> list[Record]:
    """The records of a request body; raises UnreadableRequest or UnsupportedContentType."""
    return read_records(body, content_type)


def predict_fn(records: Sequence[Record], model: "Classifier") -> Answers:
    """Answer every record in its own place, the rejected ones with their error."""
    texts = [record.text for record in records if isinstance(record, Document)]
    classification = batch_predict_fn(texts, model)
    predictions = iter(classification.predictions)
    return Answers(
        records=[
            {**record.echo, "predictions": next(predictions)}
            if isinstance(record, Document)
            else {**record.echo, "error": {"code": record.code, "message": record.message}}
            for record in records
        ],
        failed=len(records) - len(texts),
        tokens=classification.tokens,
        micro_batches=classification.micro_batches,
    )


def batch_predict_fn(texts: Sequence[str], model: "Classifier") -> "Classification":
    """Classify documents together, however many they are."""
    return model.classify(texts)


def output_fn(answers: Answers, accept: str = JSON_LINES) -> bytes:
    """The response body in the content type `accept`, one of records.WRITERS."""
    return WRITERS[accept](answers.records)
