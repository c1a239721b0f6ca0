"""Options of the commands that write a model folder, and the care for a model that lies there.

Knows click and what is asked on the terminal. Does not know how a model is written.
"""

import sys
from pathlib import Path

import click

from fine_tuning.command_options import FINAL_FOLDER, FOLDER, all_of
from fine_tuning.model_folder import check_may_write, holds_model

_OUTPUT_OPTIONS = (
    click.option("--output-dir", type=FOLDER, default=FINAL_FOLDER, show_default=True),
    click.option(
        "--overwrite",
        is_flag=True,
        help="Replace a model there without asking.",
    ),
    click.option(
        "--checkpoint-dir",
        type=FOLDER,
        help="Where a killed run finds how far it was.  [default: beside --output-dir]",
    ),
)
output_options = all_of(_OUTPUT_OPTIONS)


def check_output_dir(output_dir: Path, overwrite: bool) -> None:
    """Raises FineTuningError where a model lies there that nobody agrees to lose; asks a person."""
    can_ask = holds_model(output_dir) and not overwrite and sys.stdin.isatty()
    agreed = can_ask and click.confirm(f"{output_dir} holds a model. Replace it?", err=True)
    check_may_write(output_dir, overwrite or agreed)
