"""What continuous integration says of the image where it cannot build one."""

import os
import shutil
import subprocess

import pytest


@pytest.mark.parametrize("can_build", [True, False])
def test_an_image_that_was_not_built_is_told_loudly(request, tmp_path, can_build):
    """The tests alone decide then, and whoever reads their end sees what they leave out."""
    script = tmp_path / ".ci" / "run"
    script.parent.mkdir()
    shutil.copy(request.config.rootpath / ".ci" / "run", script)
    answers = {"image_test/prepare.sh": f"exit {int(not can_build)}", "bin/make": 'echo "make $*"'}
    for name, answer in answers.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [script],
        env={"PATH": f"{tmp_path / 'bin'}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split()[-1] == ("image-test" if can_build else "test")
    assert ("NEITHER BUILT NOR RUN" in done.stderr) == (not can_build)
