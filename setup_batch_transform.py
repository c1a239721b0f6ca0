"""Start a STANDARD job: CPU machines, one document a request, one output per input file."""

from typing import Any

import click

from batch_transform.command_line import run, start_transform, transform_options
from batch_transform.transform_profiles import STANDARD


@click.command(help=__doc__)
@transform_options(STANDARD)
def main(**options: Any) -> None:
    """Start the job; each `case1.txt` is answered by a `case1.txt.out` in the job's folder."""
    start_transform(STANDARD, **options)


if __name__ == "__main__":
    run(main)
