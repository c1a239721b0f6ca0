"""The model card: what a model was trained on, how well it does, and how to replace it.

Knows Markdown and the measures. Does not know how they were obtained.
"""

from collections.abc import Mapping

from fine_tuning.evaluation import ClassMeasures, Evaluation

_REPLACEMENT = """## Putting your own model in its place

Train on your own labelled file (a CSV with one column of texts and one of labels):

    python -m fine_tuning train --train disputes.csv --base-model answerdotai/ModernBERT-base \\
        --output-dir modernbert_dispute_classifier/final --overwrite
    python package_model.py

Or copy a model that you have already into this folder: `config.json` with `id2label`,
`model.safetensors`, `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, and
`label_mapping.csv` with the columns `label_id` and `label` that agrees with `id2label`.
"""


def model_card(title: str, about: str, measured_on: Mapping[str, Evaluation]) -> str:
    """The card as Markdown: what it is, a table for each data set, and how to replace it."""
    sections = [
        f"# {title}",
        about,
        *(_measures_section(name, evaluation) for name, evaluation in measured_on.items()),
        _REPLACEMENT,
    ]
    return "\n\n".join(sections)


def _measures_section(name: str, evaluation: Evaluation) -> str:
    return "\n".join(
        [
            f"## Measured on {name}",
            "",
            f"{evaluation.documents} documents: accuracy {evaluation.accuracy:.1%},",
            f"macro F1 {evaluation.macro_f1:.3f},",
            f"mean score of the predicted class {evaluation.mean_top_score:.3f}.",
            "",
            "| Class | Precision | Recall | F1 | Documents |",
            "|---|---|---|---|---|",
            *(_row(one) for one in evaluation.classes),
        ]
    )


def _row(one: ClassMeasures) -> str:
    return (
        f"| {one.label} | {one.precision:.2f} | {one.recall:.2f} | {one.f1:.2f} | {one.support} |"
    )
