"""Options that several commands share: columns, the starting model, how to train.

Knows click. Does not know what the values are used for, nor torch: `launch` checks with these very
options, where it is missing, what the training job will be told.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import click

from fine_tuning.columns import LABEL_COLUMN, PROBLEM_TYPE_NAMES, TEXT_COLUMN, Columns
from fine_tuning.training_settings import FROM_SCRATCH_SETTINGS, TrainingSettings

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
FINAL_FOLDER = Path("modernbert_dispute_classifier/final")
FILE_KINDS = "CSV, TSV, JSON Lines or Parquet."


def _split_names(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    names = tuple(name.strip() for value in values for name in value.split(",") if name.strip())
    if not names:
        raise click.BadParameter("no column is named")
    if len(set(names)) < len(names):
        raise click.BadParameter(f"a column is named twice among {', '.join(names)}")
    return names


_COLUMN_OPTIONS = (
    click.option(
        "--text-column",
        multiple=True,
        default=[TEXT_COLUMN],
        show_default=True,
        callback=_split_names,
        help="Several (repeated, or with commas) are joined as the segments of one document.",
    ),
    click.option(
        "--label-column",
        multiple=True,
        default=[LABEL_COLUMN],
        show_default=True,
        callback=_split_names,
        help="Several hold 0 or 1 each: multi-label.",
    ),
    click.option(
        "--problem-type",
        type=click.Choice(PROBLEM_TYPE_NAMES),
        help="Else told from the label column: lists, numbers (any with a fraction), or classes.",
    ),
    click.option(
        "--allow-no-label", is_flag=True, help="Take multi-label rows to which no label applies."
    ),
)
_STARTING_OPTIONS = (
    click.option("--base-model", help="Folder or Hugging Face name of a pretrained model."),
    click.option("--from-scratch", type=click.Choice(["tiny"]), help="Needs no base model."),
)


def _setting(name: str, kind: click.ParamType, meaning: str | None = None) -> Decorator:
    """An option whose default depends on the model that training starts from."""
    of_pretrained, of_new = (
        getattr(settings, name) for settings in (TrainingSettings(), FROM_SCRATCH_SETTINGS)
    )
    from_scratch = "" if of_new == of_pretrained else f"; from scratch {of_new}"
    return click.option(
        f"--{name.replace('_', '-')}",
        type=kind,
        show_default=f"{of_pretrained}{from_scratch}",
        help=meaning,
    )


_SETTING_OPTIONS = (
    _setting("epochs", click.FloatRange(min=0, min_open=True)),
    _setting("learning_rate", click.FloatRange(min=0, min_open=True)),
    _setting("batch_size", click.IntRange(min=1)),
    _setting("max_length", click.IntRange(4, 8192), "Tokens read of a training text."),
    click.option(
        "--weigh-classes/--no-weigh-classes",
        default=None,
        help="Let a rare class count as much as a common one.  [default: weigh]",
    ),
    _setting(
        "patience",
        click.IntRange(min=1),
        "Epochs without improvement after which training stops.",
    ),
    click.option(
        "--checkpoint-steps",
        type=click.IntRange(min=1),
        show_default="at the end of an epoch",
        help="Keep a checkpoint this often.",
    ),
    _setting("seed", click.IntRange(min=0)),
)


def all_of(options: tuple[Decorator, ...]) -> Decorator:
    """One decorator that adds these options in their order."""
    return lambda command: reduce(lambda wrapped, add: add(wrapped), reversed(options), command)


column_options = all_of(_COLUMN_OPTIONS)
starting_options = all_of(_STARTING_OPTIONS)
setting_options = all_of(_SETTING_OPTIONS)


def columns_from(
    text_column: tuple[str, ...],
    label_column: tuple[str, ...],
    problem_type: str | None,
    allow_no_label: bool,
) -> Columns:
    """The columns that the options name; UsageError where one of them is both text and label."""
    if both := set(text_column) & set(label_column):
        raise click.UsageError(
            f"{min(both)!r} is given as --text-column and as --label-column: the text would tell "
            "the label. Name two columns."
        )
    return Columns(text_column, label_column, problem_type, allow_no_label=allow_no_label)


def check_start(base_model: str | None, from_scratch: str | None) -> None:
    """Raises UsageError unless exactly one way to start was chosen."""
    if bool(base_model) == bool(from_scratch):
        raise click.UsageError("Give either --base-model or --from-scratch.")


def settings_from(base_model: str | None, chosen: dict[str, Any]) -> TrainingSettings:
    """The chosen settings, and for all others those that suit the starting model."""
    defaults = TrainingSettings() if base_model else FROM_SCRATCH_SETTINGS
    return replace(defaults, **{name: value for name, value in chosen.items() if value is not None})
