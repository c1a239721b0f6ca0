"""The edge: what an operator answers, and what becomes of the command."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from batch_transform.command_line import confirm_option
from batch_transform.errors import BatchTransformError

ROOT = Path(__file__).parents[2]


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


def test_a_question_that_nobody_can_answer_names_the_flag() -> None:
    """In a job of a scheduler there is no terminal, and nobody has pressed Ctrl-C."""
    done = CliRunner().invoke(remove, input="")
    assert isinstance(done.exception, BatchTransformError)
    assert "nobody answered" in str(done.exception)
    assert "--yes" in str(done.exception)


def test_an_answer_that_the_disk_refuses_is_no_success() -> None:
    """`--json > file` on a full disk: Python itself would notice it too late to say so."""
    script = (
        "import click; from batch_transform.command_line import run; "
        "from batch_transform.terminal import print_json; "
        "run(click.command()(lambda: print_json({})))"
    )
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", script]
        streams = {"stdout": full, "stderr": subprocess.PIPE, "text": True}
        done = subprocess.run(command, check=False, cwd=ROOT, env={}, **streams)
    assert (done.returncode, done.stderr.count("error:")) == (1, 1)
    assert "No space left on device" in done.stderr
