"""The edge: what an operator answers, and what becomes of the command."""

from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from batch_transform.command_line import confirm_option
from batch_transform.errors import BatchTransformError


@click.command()
@confirm_option
def remove(*, confirm: Callable[[str], None]) -> None:
    """Remove something, once that is sure."""
    confirm("Remove it?")
    click.echo("removed")


@pytest.mark.parametrize(("arguments", "typed"), [([], "y\n"), (["--yes"], "")])
def test_a_question_is_asked_unless_it_was_answered_before(arguments: list, typed: str) -> None:
    """`--yes` is for those whom nobody can ask."""
    done = CliRunner().invoke(remove, arguments, input=typed)
    assert done.stdout == "removed\n"
    assert ("Remove it?" in done.stderr) == bool(typed)


def test_a_no_is_no_interruption() -> None:
    """The command ends with exit code 1, and says that it was the answer."""
    done = CliRunner().invoke(remove, input="n\n")
    assert isinstance(done.exception, BatchTransformError)
    assert "did not say yes" in str(done.exception)
