"""Check a fine-tuned model folder and pack it as the model.tar.gz that SageMaker unpacks."""

from pathlib import Path

import click

from batch_transform import terminal
from batch_transform.command_line import option, run
from batch_transform.model_artifact import package_model


@click.command(help=__doc__)
@option(
    "--model-dir",
    variable="MODEL_DIR",
    type=click.Path(path_type=Path),
    default="./modernbert_dispute_classifier/final",
    help="Folder that fine-tuning wrote.",
)
@option(
    "--output-path",
    type=click.Path(dir_okay=False, path_type=Path),
    default="model.tar.gz",
    help="Artifact to write.",
)
def main(model_dir: Path, output_path: Path) -> None:
    """Pack the folder; the same files make the same bytes on any machine."""
    packaged = package_model(model_dir, output_path)
    for reason in packaged.left_out:
        terminal.say(f"left out {reason}")
    terminal.say(f"packed {', '.join(packaged.packed)}")
    terminal.print_answer(str(packaged.path))


if __name__ == "__main__":
    run(main)
