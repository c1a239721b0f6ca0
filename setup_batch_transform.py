"""Start a STANDARD job: CPU machines, one document a request, one output per input file."""

from typing import Any

import click

from batch_transform.command_line import (
    NOBODY_WATCHES,
    logs_option,
    refuse_typed,
    run,
    transform_options,
)
from batch_transform.starting import start_transform
from batch_transform.transform_profiles import STANDARD
from batch_transform.watching import WatchSettings


@click.command(help=__doc__)
@transform_options(STANDARD)
@logs_option
def main(*, as_json: bool, shows_logs: bool, **options: Any) -> None:
    """Start the job; each `case1.txt` is answered by a `case1.txt.out` in the job's folder."""
    if not options["wait"]:
        refuse_typed(["shows_logs"], NOBODY_WATCHES)
    results = WatchSettings(as_json=as_json, shows_logs=shows_logs)
    start_transform(STANDARD, results=results, **options)


if __name__ == "__main__":
    run(main)
