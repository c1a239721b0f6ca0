"""Start an OPTIMIZED job: GPU machines, documents packed into shards, one consolidated file."""

from typing import Any

import click

from batch_transform.command_line import (
    option,
    results_options,
    run,
    transform_options,
)
from batch_transform.starting import start_transform
from batch_transform.transform_profiles import OPTIMIZED


@click.command(help=__doc__)
@transform_options(OPTIMIZED)
@option("--resume", "resumed_job", metavar="JOB", help="Run what this job left unanswered.")
@results_options
def main(**options: Any) -> None:
    """Start the job; predictions.json in its folder holds every document's answer."""
    start_transform(OPTIMIZED, **options)


if __name__ == "__main__":
    run(main)
