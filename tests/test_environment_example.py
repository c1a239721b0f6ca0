"""`.env.example` names exactly the variables that the scripts read."""

import importlib
import re
from pathlib import Path

import click

from local_aws.demo_environment import SETTINGS

ROOT = Path(__file__).parents[1]
READ_BY_BOTO3 = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
SCRIPTS = [path.stem for path in ROOT.glob("*.py") if "run(main)" in path.read_text()]


def variables_read() -> set[str]:
    """Return the variables that the options of all scripts name."""
    commands = [importlib.import_module(script).main for script in SCRIPTS]
    assert all(isinstance(command, click.Command) for command in commands)
    named = {parameter.envvar for command in commands for parameter in command.params}
    return {name for name in named if name} | READ_BY_BOTO3


def test_the_example_names_every_variable_that_is_read_and_no_other() -> None:
    """Whoever copies the file sees all that can be set, and nothing that does nothing."""
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)) == variables_read()


def test_a_demonstration_leaves_no_variable_to_the_caller() -> None:
    """A `.env` of one's own cannot lead `make demo` to other documents or another account."""
    told = SETTINGS.keys() | {"AWS_REGION"} | READ_BY_BOTO3
    assert told == variables_read()


def test_the_example_holds_no_secret() -> None:
    """Keys are named and left empty."""
    text = (ROOT / ".env.example").read_text()
    assert re.findall(r"^#? ?AWS_\w*KEY\w*=(.+)$", text, re.MULTILINE) == []
