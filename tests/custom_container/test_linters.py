"""The Dockerfile and the shell scripts, as their own linters see them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# shellcheck and hadolint come from PyPI into the environment of the tests.
INSTALLED = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("linter", "path"),
    [
        ("shellcheck", "custom_container/build_and_push.sh"),
        ("shellcheck", "image_test/prepare.sh"),
        ("shellcheck", ".ci/run"),
        ("hadolint", "custom_container/Dockerfile"),
    ],
)
def test_the_linter_finds_nothing(linter, path):
    """Not even a remark."""
    linted = subprocess.run(
        [INSTALLED / linter, ROOT / path], capture_output=True, text=True, check=False
    )

    assert linted.stdout + linted.stderr == ""
    assert linted.returncode == 0
