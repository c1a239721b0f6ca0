"""The commands of `python -m fine_tuning`, found by name and loaded when they are called.

Knows where each command lies and how a failure ends. `launch` runs where torch is not installed and
`train` where the SageMaker SDK is not, so neither may be loaded for the other's sake.
"""

import sys
from importlib import import_module

import click

from fine_tuning.errors import FineTuningError

_MODULE_OF = {
    "train": "training_commands",
    "evaluate": "evaluation_commands",
    "launch": "launch_command",
    "sagemaker-training-job": "training_commands",
    "demonstration-model": "demonstration_commands",
    "generate-disputes": "demonstration_commands",
    "sample-documents": "demonstration_commands",
}


class _LoadedWhenCalled(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_MODULE_OF)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _MODULE_OF:
            return None
        try:
            module = import_module(f"fine_tuning.{_MODULE_OF[name]}")
        except ModuleNotFoundError as error:
            raise FineTuningError(
                f"`{name}` needs {error.name}, which is not installed. Install "
                "requirements-training.txt."
            ) from error
        return getattr(module, name.replace("-", "_"))


@click.group(cls=_LoadedWhenCalled)
def commands() -> None:
    """Trains, measures and demonstrates the dispute classifier."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 1 and one sentence for what the user can mend.

    ``arguments`` None takes those of the process.
    """
    try:
        commands(arguments)
    except FineTuningError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
