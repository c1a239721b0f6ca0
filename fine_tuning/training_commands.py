"""`train`, and the same as the entry point of a SageMaker training job.

Knows click and what is said on the terminal. Does not know how a model is trained.
"""

from pathlib import Path
from typing import Any

import click

from fine_tuning.command_options import (
    FILE,
    FILE_KINDS,
    FOLDER,
    check_start,
    column_options,
    columns_from,
    setting_options,
    settings_from,
    starting_options,
)
from fine_tuning.duplicates import Duplicate
from fine_tuning.evaluation_commands import print_run
from fine_tuning.output_options import check_output_dir, output_options, watched_training
from fine_tuning.sagemaker_training_job import TrainingJobFolders, train_arguments, write_failure
from fine_tuning.training_run import TrainingData, TrainingFiles, train_and_write

_DUPLICATES_SHOWN = 5


@click.command()
@click.option("--train", "train_file", type=FILE, required=True, help=FILE_KINDS)
@click.option(
    "--validation",
    "validation_file",
    type=FILE,
    help="Else a tenth of --train, and of each class a row at least.",
)
@click.option("--test", "test_file", type=FILE, help="Measured once, at the end.")
@column_options
@starting_options
@setting_options
@output_options
def train(
    *,
    train_file: Path,
    validation_file: Path | None,
    test_file: Path | None,
    text_column: tuple[str, ...],
    label_column: tuple[str, ...],
    problem_type: str | None,
    allow_no_label: bool,
    base_model: str | None,
    from_scratch: str | None,
    output_dir: Path,
    overwrite: bool,
    checkpoint_dir: Path | None,
    **chosen: Any,
) -> None:
    """Trains a classifier on a labelled file and writes the folder that the container serves."""
    check_start(base_model, from_scratch)
    check_output_dir(output_dir, overwrite)
    settings = settings_from(base_model, chosen)
    columns = columns_from(text_column, label_column, problem_type, allow_no_label)
    files = TrainingFiles(train_file, validation_file, test_file)
    data = TrainingData.read(files, columns, base_model, settings.seed)
    if problem_type is None:
        click.echo(f"Problem type: {data.problem.name}; --problem-type asks for another.", err=True)
    click.echo(
        f"Training on {len(data.training)} texts, validating on {len(data.validation)}.", err=True
    )
    for name, found in data.duplicates.items():
        _tell_duplicates(name, found)
    with watched_training(output_dir, checkpoint_dir) as progress:
        run = train_and_write(
            data,
            base_model,
            settings,
            output_dir=output_dir,
            checkpoint_dir=checkpoint_dir,
            callbacks=[progress],
        )
    print_run(run)
    click.echo(f"Model written to {output_dir}", err=True)


@click.command("sagemaker-training-job")
@click.option("--root", type=FOLDER, default=Path("/opt/ml"), show_default=True)
def sagemaker_training_job(root: Path) -> None:
    """Runs `train` inside a SageMaker training job, by SageMaker's folders and hyperparameters."""
    folders = TrainingJobFolders(root)
    try:
        train.main(train_arguments(folders), standalone_mode=False)
    except Exception as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        write_failure(folders, message)
        raise


def _tell_duplicates(name: str, found: list[Duplicate]) -> None:
    click.echo(
        f"Warning: {len(found)} {name} texts nearly repeat a training text, which flatters the "
        "measures on them:",
        err=True,
    )
    for one in found[:_DUPLICATES_SHOWN]:
        click.echo(
            f"  row {one.held_out.row} repeats row {one.training.row} ({one.shared:.0%} shared)",
            err=True,
        )
