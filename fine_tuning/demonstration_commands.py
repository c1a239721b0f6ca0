"""The commands that make what this repository shows: its texts, its samples, its small model.

Knows click. Does not know how any of them is made.
"""

from pathlib import Path

import click

from fine_tuning.command_options import FILE, FOLDER
from fine_tuning.demonstration_model import TRAINING_DOCUMENTS, make_demonstration_model
from fine_tuning.dispute_grammar import load_grammar
from fine_tuning.dispute_texts import dispute_texts
from fine_tuning.evaluation_commands import print_run
from fine_tuning.labelled_texts import write_labelled_texts
from fine_tuning.output_options import check_output_dir, output_options, watched_training
from fine_tuning.sample_documents import write_sample_documents


@click.command("generate-disputes")
@click.option("--output", type=FILE, required=True, help="CSV file to write.")
@click.option("--documents", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def generate_disputes(output: Path, documents: int, seed: int) -> None:
    """Writes labelled dispute texts of our own making; the same seed writes the same file."""
    write_labelled_texts(output, dispute_texts(load_grammar(), documents, seed))


@click.command("demonstration-model")
@output_options
@click.option(
    "--documents", type=click.IntRange(min=100), default=TRAINING_DOCUMENTS, show_default=True
)
def demonstration_model(
    output_dir: Path, overwrite: bool, checkpoint_dir: Path | None, documents: int
) -> None:
    """Makes the demonstration model: generated texts, training from scratch, honest measures."""
    check_output_dir(output_dir, overwrite)
    with watched_training(output_dir, checkpoint_dir) as progress:
        run = make_demonstration_model(output_dir, checkpoint_dir, documents, callbacks=[progress])
    print_run(run)


@click.command("sample-documents")
@click.option("--output-dir", type=FOLDER, default=Path("sample_documents"), show_default=True)
def sample_documents(output_dir: Path) -> None:
    """Writes the documents that the demonstration job classifies, oddities included."""
    for path in write_sample_documents(output_dir):
        click.echo(path)
