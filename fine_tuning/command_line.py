"""The commands of `python -m fine_tuning`: options in, one call, what came of it on the terminal.

Knows click. Does not know how anything is trained, measured or written.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import click

from fine_tuning.demonstration_model import TRAINING_DOCUMENTS, make_demonstration_model
from fine_tuning.dispute_grammar import load_grammar
from fine_tuning.dispute_texts import dispute_texts
from fine_tuning.errors import FineTuningError
from fine_tuning.evaluation import Evaluation, evaluate_classifier
from fine_tuning.labelled_texts import (
    LABEL_COLUMN,
    TEXT_COLUMN,
    check_known_labels,
    read_labelled_texts,
    write_labelled_texts,
)
from fine_tuning.model_folder import check_may_write, load_model_folder
from fine_tuning.sample_documents import write_sample_documents
from fine_tuning.training import FROM_SCRATCH_SETTINGS, TrainingSettings
from fine_tuning.training_run import TrainingData, train_and_write

_File = click.Path(dir_okay=False, path_type=Path)
_Folder = click.Path(file_okay=False, path_type=Path)
_FINAL_FOLDER = Path("modernbert_dispute_classifier/final")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 1 and one sentence for what the user can mend.

    ``arguments`` None takes those of the process.
    """
    try:
        commands(arguments)
    except FineTuningError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


@click.group()
def commands() -> None:
    """Trains, measures and demonstrates the dispute classifier."""


def _columns(command: Callable) -> Callable:
    command = click.option("--label-column", default=LABEL_COLUMN, show_default=True)(command)
    return click.option("--text-column", default=TEXT_COLUMN, show_default=True)(command)


def _output_dir(command: Callable) -> Callable:
    command = click.option("--overwrite", is_flag=True, help="Replace a model that lies there.")(
        command
    )
    return click.option("--output-dir", type=_Folder, default=_FINAL_FOLDER, show_default=True)(
        command
    )


@commands.command()
@click.option("--train", "train_file", type=_File, required=True, help="CSV with a header.")
@click.option("--validation", "validation_file", type=_File, help="Else a tenth of --train.")
@_columns
@click.option("--base-model", help="Folder or Hugging Face name of a pretrained model.")
@click.option("--from-scratch", type=click.Choice(["tiny"]), help="Needs no base model.")
@_output_dir
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True))
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True))
@click.option("--batch-size", type=click.IntRange(min=1))
@click.option("--max-length", type=click.IntRange(4, 8192), help="Tokens read of a training text.")
@click.option("--seed", type=click.IntRange(min=0))
def train(
    *,
    train_file: Path,
    validation_file: Path | None,
    text_column: str,
    label_column: str,
    base_model: str | None,
    from_scratch: str | None,
    output_dir: Path,
    overwrite: bool,
    **chosen: float | None,
) -> None:
    """Trains a classifier on a labelled file and writes the folder that the container serves."""
    if bool(base_model) == bool(from_scratch):
        raise click.UsageError("Give either --base-model or --from-scratch.")
    defaults = FROM_SCRATCH_SETTINGS if from_scratch else TrainingSettings()
    settings = replace(
        defaults, **{name: value for name, value in chosen.items() if value is not None}
    )
    check_may_write(output_dir, overwrite)
    data = TrainingData.read(train_file, validation_file, text_column, label_column, settings.seed)
    evaluation = train_and_write(data, base_model, settings, output_dir)
    _print_evaluation("validation", evaluation)
    click.echo(f"Model written to {output_dir}", err=True)


@commands.command()
@click.option("--model-dir", type=_Folder, default=_FINAL_FOLDER, show_default=True)
@click.option("--test", "test_file", type=_File, required=True, help="CSV with a header.")
@_columns
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def evaluate(
    model_dir: Path, test_file: Path, text_column: str, label_column: str, as_json: bool
) -> None:
    """Measures a trained model on a labelled file."""
    examples = read_labelled_texts(test_file, text_column, label_column)
    model, tokenizer = load_model_folder(model_dir)
    check_known_labels(test_file, examples, list(model.config.id2label.values()))
    evaluation = evaluate_classifier(model, tokenizer, examples)
    if as_json:
        click.echo(json.dumps(asdict(evaluation), indent=2, ensure_ascii=False))
    else:
        _print_evaluation(str(test_file), evaluation)


@commands.command("generate-disputes")
@click.option("--output", type=_File, required=True, help="CSV file to write.")
@click.option("--documents", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def generate_disputes(output: Path, documents: int, seed: int) -> None:
    """Writes labelled dispute texts of our own making; the same seed writes the same file."""
    write_labelled_texts(output, dispute_texts(load_grammar(), documents, seed))


@commands.command("demonstration-model")
@_output_dir
@click.option(
    "--documents", type=click.IntRange(min=100), default=TRAINING_DOCUMENTS, show_default=True
)
def demonstration_model(output_dir: Path, overwrite: bool, documents: int) -> None:
    """Makes the demonstration model: generated texts, training from scratch, honest measures."""
    check_may_write(output_dir, overwrite)
    for name, evaluation in make_demonstration_model(output_dir, documents).items():
        _print_evaluation(name, evaluation)


@commands.command("sample-documents")
@click.option("--output-dir", type=_Folder, default=Path("sample_documents"), show_default=True)
def sample_documents(output_dir: Path) -> None:
    """Writes the documents that the demonstration job classifies, oddities included."""
    for path in write_sample_documents(output_dir):
        click.echo(path)


def _print_evaluation(name: str, evaluation: Evaluation) -> None:
    click.echo(
        f"{name}: {evaluation.documents} documents, accuracy {evaluation.accuracy:.1%}, "
        f"macro F1 {evaluation.macro_f1:.3f}"
    )
    width = max(len(one.label) for one in evaluation.classes)
    click.echo(f"  {'class':{width}}  precision  recall  documents")
    for one in evaluation.classes:
        click.echo(
            f"  {one.label:{width}}  {one.precision:9.2f}  {one.recall:6.2f}  {one.support:9}"
        )
