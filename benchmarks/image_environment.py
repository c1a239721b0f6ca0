"""Measuring under the image's own variables, some of which are read only when a process starts."""

import os
import sys
from pathlib import Path

from local_aws.container_image import ContainerImage

CONTAINER = Path(__file__).parents[1] / "custom_container"


def start_as_in_the_image() -> None:
    """Start this program again under the Dockerfile's variables, unless it has them."""
    variables = ContainerImage.of_folder(CONTAINER).environment
    if not variables.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **variables})  # noqa: S606
