"""The model card: what a model was trained on, how well it does, and how to replace it.

Knows Markdown and the measures. Does not know how they were obtained.
"""

from collections.abc import Mapping

from fine_tuning.measures import ClassMeasures, Measures, single_numbers

_REPLACEMENT = """## Putting your own model in its place

Train on your own labelled file (a column of texts and one of labels):

    python -m fine_tuning train --train disputes.csv --base-model answerdotai/ModernBERT-base \\
        --output-dir modernbert_dispute_classifier/final --overwrite
    python package_model.py

Or copy a model that you have already into this folder: `config.json` with `id2label`,
`model.safetensors`, `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, and
`label_mapping.csv` with the columns `label_id` and `label` that agrees with `id2label`.
"""


def model_card(title: str, about: str, measured_on: Mapping[str, Measures]) -> str:
    """The card as Markdown: what it is, a table for each data set, and how to replace it."""
    sections = [
        f"# {title}",
        about,
        *(_measures_section(name, measures) for name, measures in measured_on.items()),
        _REPLACEMENT,
    ]
    return "\n\n".join(sections)


def headline(measures: Measures) -> str:
    """The measures that are one number, in a sentence: "accuracy 89.4%, macro F1 0.892, …"."""
    return ", ".join(
        f"{spoken(name)} {shown(name, value)}" for name, value in single_numbers(measures).items()
    )


def _measures_section(name: str, measures: Measures) -> str:
    lines = [
        f"## Measured on {name}",
        "",
        f"{measures.documents} documents: {headline(measures)}.",
    ]
    if classes := getattr(measures, "classes", ()):
        lines += [
            "",
            "| Class | Precision | Recall | F1 | Documents |",
            "|---|---|---|---|---|",
            *(_row(one) for one in classes),
        ]
    return "\n".join(lines)


def _row(one: ClassMeasures) -> str:
    return (
        f"| {one.label} | {one.precision:.2f} | {one.recall:.2f} | {one.f1:.2f} | {one.support} |"
    )


def spoken(name: str) -> str:
    """The name of a measure in words: "macro F1"."""
    return name.replace("_f1", " F1").replace("_", " ")


def shown(name: str, value: float) -> str:
    """A measure as it is read: "89.4%" or "0.892"."""
    return f"{value:.1%}" if name in {"accuracy", "exact_match"} else f"{value:.4g}"
