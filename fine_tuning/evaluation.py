"""A model's answers to labelled texts, and what they are worth.

Knows how a document becomes logits, and that the config's temperature divides them. Does not know
files, nor how measures are counted or shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from fine_tuning.labelled_texts import LabelledText
from fine_tuning.measures import Measures, Mistake, measured, most_confident_mistakes
from fine_tuning.problem_types import problem_type_of

TEMPERATURE = "calibration_temperature"
"""The entry of config.json by which the container divides logits too.

transformers keeps `temperature` itself for text generation and refuses to save it with a model.
"""
_DOCUMENTS_A_BATCH = 16


@dataclass(frozen=True)
class Evaluation:
    """What a model answered to some documents, and how well."""

    scores: Tensor
    """[documents, labels], in the documents' order."""
    measures: Measures
    mistakes: list[Mistake]


def evaluate_classifier(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[LabelledText],
) -> Evaluation:
    """Answers every example and compares; documents are cut at the tokenizer's own limit."""
    problem = problem_type_of(model.config)
    logits = document_logits(model, tokenizer, [example.text for example in examples])
    scores = problem.scores(logits / getattr(model.config, TEMPERATURE, 1.0))
    labels = [example.label for example in examples]
    return Evaluation(
        scores,
        measured(problem, labels, scores),
        most_confident_mistakes(problem, labels, scores),
    )


def document_logits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> Tensor:
    """Uncalibrated logits [documents, labels] in the order of ``texts``, on the CPU."""
    model.eval()
    # Neighbours in length share a batch, so that little is padding.
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    logits = torch.empty(len(texts), model.config.num_labels)
    for start in range(0, len(order), _DOCUMENTS_A_BATCH):
        places = order[start : start + _DOCUMENTS_A_BATCH]
        batch = [texts[place] for place in places]
        inputs = tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            logits[places] = model(**inputs.to(model.device)).logits.float().cpu()
    return logits
