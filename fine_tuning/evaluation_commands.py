"""`evaluate`: measures a trained model on a labelled file, or a recipe by k-fold.

Knows click and what is said on the terminal. Does not know how anything is measured.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click

from fine_tuning.columns import Columns
from fine_tuning.command_options import (
    FILE,
    FILE_KINDS,
    FINAL_FOLDER,
    FOLDER,
    check_start,
    column_options,
    columns_from,
    setting_options,
    settings_from,
    starting_options,
)
from fine_tuning.cross_validation import cross_validate
from fine_tuning.evaluation import Evaluation, evaluate_classifier
from fine_tuning.labelled_texts import LabelledText, read_examples
from fine_tuning.measures import (
    ClassificationMeasures,
    Measures,
    RegressionMeasures,
    single_numbers,
)
from fine_tuning.model_card import headline, shown, spoken
from fine_tuning.model_folder import load_model_folder
from fine_tuning.problem_types import problem_type_of
from fine_tuning.training_progress import TrainingProgress
from fine_tuning.training_run import FinishedRun

_CONFUSIONS_SHOWN = 10
_CHARACTERS_SHOWN = 60


@click.command()
@click.option("--model-dir", type=FOLDER, show_default=str(FINAL_FOLDER))
@click.option("--test", "test_file", type=FILE, required=True, help=FILE_KINDS)
@column_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    help="Train this many models on --test instead, each measured on the rows held out from it; "
    "takes the options of `train` below and no --model-dir.",
)
@starting_options
@setting_options
def evaluate(
    *,
    model_dir: Path | None,
    test_file: Path,
    text_column: tuple[str, ...],
    label_column: tuple[str, ...],
    problem_type: str | None,
    allow_no_label: bool,
    as_json: bool,
    folds: int | None,
    base_model: str | None,
    from_scratch: str | None,
    **chosen: Any,
) -> None:
    """Measures a trained model on a labelled file."""
    columns = columns_from(text_column, label_column, problem_type, allow_no_label)
    if folds:
        if model_dir:
            raise click.UsageError("--folds trains models of its own. Leave --model-dir out.")
        check_start(base_model, from_scratch)
        settings = settings_from(base_model, chosen)
        progress = TrainingProgress()
        try:
            measured_on = cross_validate(
                *(test_file, columns, base_model, settings, folds), callbacks=[progress]
            )
            print_folds(measured_on, as_json)
        finally:
            progress.stop()
        return
    start = {"base_model": base_model, "from_scratch": from_scratch}
    _check_nothing_trains({"problem_type": problem_type, **start, **chosen})
    evaluation, examples = _evaluated(model_dir or FINAL_FOLDER, test_file, columns)
    if as_json:
        _print_json(asdict(evaluation.measures))
    else:
        print_measures(str(test_file), evaluation.measures)
        _print_mistakes(evaluation, examples)


def print_measures(name: str, measures: Measures) -> None:
    """Prints a headline, and a table of classes and the confusions where there are classes."""
    click.echo(f"{name}: {measures.documents} documents, {headline(measures)}")
    classes = getattr(measures, "classes", ())
    if classes:
        width = max(len(one.label) for one in classes)
        click.echo(f"  {'class':{width}}  precision  recall  documents")
    for one in classes:
        click.echo(
            f"  {one.label:{width}}  {one.precision:9.2f}  {one.recall:6.2f}  {one.support:9}"
        )
    if isinstance(measures, ClassificationMeasures) and measures.confusions:
        click.echo("  most confused:")
        for pair in measures.confusions[:_CONFUSIONS_SHOWN]:
            click.echo(f"  {pair.documents:4} {pair.true} answered as {pair.predicted}")


def print_run(run: FinishedRun) -> None:
    """Prints what a training came to: its calibration, and its measures on each data set."""
    if run.calibration:
        click.echo(run.calibration)
    for name, measures in run.measured_on.items():
        print_measures(name, measures)


def _evaluated(
    model_dir: Path, test_file: Path, columns: Columns
) -> tuple[Evaluation, Sequence[LabelledText]]:
    model, tokenizer = load_model_folder(model_dir)
    own = columns.parted_by(tokenizer.sep_token)
    examples = read_examples(test_file, own, problem_type_of(model.config))
    return evaluate_classifier(model, tokenizer, examples), examples


def _check_nothing_trains(options: dict[str, Any]) -> None:
    """Raises UsageError for an option of training, which would be passed over without --folds."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise click.UsageError(
            f"--{given[0].replace('_', '-')} is for training, which evaluate does with --folds "
            "only. Give --folds, or leave it out to measure the model in --model-dir."
        )


def print_folds(measured_on: Iterable[tuple[str, Measures]], as_json: bool) -> None:
    """Prints each fold as it comes, and over all of them each measure that is one number."""
    if as_json:
        _print_json({name: asdict(measures) for name, measures in measured_on})
        return
    numbers = []
    for name, measures in measured_on:
        print_measures(name, measures)
        numbers.append(single_numbers(measures))
    spreads = ((name, [one[name] for one in numbers]) for name in numbers[0])
    told = ", ".join(
        f"{spoken(name)} {shown(name, mean(values))} ± {shown(name, stdev(values))}"
        for name, values in spreads
    )
    click.echo(f"all {len(numbers)} folds, mean ± standard deviation: {told}")


def _print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _print_mistakes(evaluation: Evaluation, examples: Sequence[LabelledText]) -> None:
    if evaluation.mistakes:
        is_regression = isinstance(evaluation.measures, RegressionMeasures)
        click.echo(f"  {'farthest off' if is_regression else 'most confident mistakes'}:")
    for one in evaluation.mistakes:
        example = examples[one.place]
        text = " ".join(example.text.split())[:_CHARACTERS_SHOWN]
        click.echo(
            f"  row {example.row}: {one.true} answered as {one.predicted} ({one.score:.3g}): {text}"
        )
