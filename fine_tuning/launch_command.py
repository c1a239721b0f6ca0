"""`launch`: the same training as a SageMaker training job.

Knows click. Needs the SageMaker SDK (requirements-sagemaker-sdk.txt) and none of the training
packages.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from fine_tuning.command_options import column_options, setting_options, starting_options
from fine_tuning.errors import FineTuningError
from fine_tuning.sagemaker_launch import TrainingJob, launch_training_job
from fine_tuning.sagemaker_training_job import hyperparameter_arguments


@click.command(add_help_option=False)
@column_options
@starting_options
@setting_options
def _train_by_hyperparameters(**_values: object) -> None:
    """What hyperparameters may tell `train`; its files and folders are the job's own affair."""


def _hyperparameters(
    _context: click.Context, _parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, str]:
    """What the job is told, refused by the options that would refuse it on the machine."""
    told: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        name = name.replace("_", "-")
        if not separator:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
        if name == "base-model":
            raise click.BadParameter("give --base-model itself")
        if name in told:
            raise click.BadParameter(f"{name!r} is given twice; several names go with commas")
        told[name] = value
    try:
        _train_by_hyperparameters.make_context("train", hyperparameter_arguments(told))
    except click.UsageError as error:
        raise click.BadParameter(error.format_message()) from None
    return told


@click.command()
@click.option("--train", required=True, help="S3 location of one labelled file.")
@click.option("--validation", help="S3 location; else as `train` does.")
@click.option("--test", help="S3 location; measured once, at the end.")
@click.option("--base-model", help="Hub name, or S3 folder of a pretrained model.")
@click.option(
    "--hyperparameter",
    "hyperparameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_hyperparameters,
    help="An option of `train` on columns or training, such as epochs=4; give it once for each.",
)
@click.option("--s3-output", required=True, help="S3 folder for the model artifact.")
@click.option("--s3-checkpoints", help="S3 folder; a spot job that is interrupted goes on from it.")
@click.option("--training-image", required=True, help="Image with torch: a SageMaker PyTorch one.")
@click.option("--role-arn", required=True, envvar="SAGEMAKER_ROLE_ARN", show_envvar=True)
@click.option("--region", envvar="AWS_REGION", show_envvar=True)
@click.option("--instance-type", default="ml.g5.xlarge", show_default=True)
@click.option("--spot/--no-spot", default=True, show_default=True, help="Spot needs checkpoints.")
@click.option("--max-hours", type=click.IntRange(1, 120), default=12, show_default=True)
@click.option("--job-name", default="dispute-classifier", show_default=True, help="Its beginning.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow logs to the end.")
@click.option("--dry-run", is_flag=True, help="Print the job and start nothing.")
def launch(*, region: str | None, wait: bool, dry_run: bool, **chosen: object) -> None:
    """Trains as a SageMaker training job; the artifact is what `package_model.py` would make."""
    job = TrainingJob(**chosen)
    if dry_run:
        click.echo(json.dumps(asdict(job), indent=2))
        return
    if region:
        # The SDK makes clients in many places; this is the one that all of them look at.
        os.environ["AWS_DEFAULT_REGION"] = region
    source = Path(__file__).resolve().parents[1]
    try:
        name = launch_training_job(job, source, wait=wait)
    except FineTuningError:
        raise
    # The SDK has no error class of its own: botocore's, pydantic's and plain ones come through.
    except Exception as error:
        reason = " ".join(str(error).split())[:500]
        raise FineTuningError(
            f"SageMaker did not take or did not finish the training job: {reason} Look at the job "
            "in the console, or start with --dry-run."
        ) from error
    click.echo(name)
