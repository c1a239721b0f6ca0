"""Options of the commands that write a model folder, and the care for what lies there already.

Knows click, what is asked on the terminal and what is said where training ends early. Does not know
how a model is trained or written.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from fine_tuning.checkpoints import checkpoint_dir_beside
from fine_tuning.command_options import FINAL_FOLDER, FOLDER, all_of
from fine_tuning.disk_space import full_disk_told
from fine_tuning.errors import FineTuningError
from fine_tuning.model_folder import check_may_write, holds_model
from fine_tuning.training_progress import TrainingProgress

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


@contextmanager
def watched_training(output_dir: Path, checkpoint_dir: Path | None) -> Iterator[TrainingProgress]:
    """Yields the callback that shows a training; FineTuningError says, where the disk is full or
    Ctrl-C ends it, how it goes on."""
    checkpoints = checkpoint_dir or checkpoint_dir_beside(output_dir)
    progress = TrainingProgress()
    try:
        with full_disk_told(output_dir, checkpoints):
            yield progress
    except KeyboardInterrupt:
        raise FineTuningError(
            f"Training was interrupted, and no model was written. Repeat the command to go on from "
            f"the last checkpoint in {checkpoints}, where one is kept after each epoch at least; "
            "remove that folder to begin anew."
        ) from None
    finally:
        progress.stop()
