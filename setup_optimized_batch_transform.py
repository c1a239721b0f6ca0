"""Start an OPTIMIZED job: GPU machines, documents packed into shards, one consolidated file."""

from typing import Any

import click

from batch_transform.command_line import (
    JOB_NAME,
    NOBODY_WATCHES,
    dispensing_with,
    option,
    refuse_typed,
    results_options,
    run,
    transform_options,
)
from batch_transform.starting import start_transform
from batch_transform.transform_profiles import OPTIMIZED

SETTLED_BY_THE_RESUMED_JOB = (
    *("model_path", "model_prefix", "image_uri", "role_arn", "environment"),
    *("subnets", "security_group_ids", "input_prefix", "is_strict"),
)


@click.command(help=__doc__)
@transform_options(OPTIMIZED)
@option(
    "--resume",
    "resumed_job",
    type=JOB_NAME,
    metavar="JOB",
    is_eager=True,
    callback=dispensing_with(SETTLED_BY_THE_RESUMED_JOB),
    help="Run what this job left unanswered, by its Model.",
)
@results_options
def main(**options: Any) -> None:
    """Start the job; predictions.json in its folder holds every document's answer."""
    if options["resumed_job"]:
        reason = f"--resume takes Model and documents as {options['resumed_job']} had them"
        refuse_typed(SETTLED_BY_THE_RESUMED_JOB, reason)
    if not options["wait"]:
        refuse_typed(["download_to", "shows_logs"], NOBODY_WATCHES)
    start_transform(OPTIMIZED, **options)


if __name__ == "__main__":
    run(main)
