"""Measures a classifier on labelled texts.

Knows how a document becomes a predicted class and what is counted then. Does not know files.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from fine_tuning.labelled_texts import LabelledText

_DOCUMENTS_A_BATCH = 16


@dataclass(frozen=True)
class ClassMeasures:
    """How one class fared; a share whose denominator is zero is 0."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Documents that truly belong to the class."""


@dataclass(frozen=True)
class Evaluation:
    """Measures over one file of labelled texts; shares lie between 0 and 1."""

    documents: int
    accuracy: float
    macro_f1: float
    mean_top_score: float
    """Mean score of the predicted class: near the accuracy where scores can be trusted."""
    classes: tuple[ClassMeasures, ...]


def evaluate_classifier(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[LabelledText],
) -> Evaluation:
    """Predicts every example and compares; documents are cut at the tokenizer's own limit."""
    predicted, top_scores = [], []
    for batch in _batches([example.text for example in examples]):
        inputs = tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            scores = model(**inputs.to(model.device)).logits.softmax(dim=-1)
        top = scores.max(dim=-1)
        predicted += [model.config.id2label[index] for index in top.indices.tolist()]
        top_scores += top.values.tolist()
    labels = list(model.config.id2label.values())
    return measured([example.label for example in examples], predicted, top_scores, labels)


def measured(
    true: Sequence[str],
    predicted: Sequence[str],
    top_scores: Sequence[float],
    labels: Sequence[str],
) -> Evaluation:
    """The measures of predictions already made; the three sequences run side by side."""
    support, answered = Counter(true), Counter(predicted)
    right = Counter(label for label, answer in zip(true, predicted, strict=True) if label == answer)
    classes = tuple(
        ClassMeasures(
            label=label,
            precision=_share(right[label], answered[label]),
            recall=_share(right[label], support[label]),
            f1=_share(2 * right[label], answered[label] + support[label]),
            support=support[label],
        )
        for label in labels
    )
    return Evaluation(
        documents=len(true),
        accuracy=_share(right.total(), len(true)),
        macro_f1=_share(sum(one.f1 for one in classes), len(classes)),
        mean_top_score=_share(sum(top_scores), len(top_scores)),
        classes=classes,
    )


def _batches(texts: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), _DOCUMENTS_A_BATCH):
        yield texts[start : start + _DOCUMENTS_A_BATCH]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
