"""The zip of the functions: reproducible, small, and able to live with boto3 alone."""

import io
import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from batch_transform.lambda_package import HANDLER, build_lambda_package

ROOT = Path(__file__).parents[2]
OF_THE_RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "urllib3")
IMPORT = """
import sys
sys.path[:0] = sys.argv[1:]
import boto3
of_boto3 = set(sys.modules)
import lambda_batch_transform as functions
print(functions.handle_requests.__name__, functions.handle_completion.__name__)
print(*sorted({name.split(".")[0] for name in set(sys.modules) - of_boto3}))
"""


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """The sources elsewhere, with other times and modes."""
    tree = tmp_path / "copy"
    shutil.copytree(ROOT / "batch_transform", tree / "batch_transform")
    shutil.copy(ROOT / HANDLER, tree)
    for path in tree.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    return tree


def test_the_same_sources_make_the_same_zip_anywhere(copied_tree: Path) -> None:
    """Neither folder, time nor mode changes a byte, so unchanged code is never deployed anew."""
    assert build_lambda_package(copied_tree) == build_lambda_package(ROOT)


def test_a_changed_module_makes_another_name(copied_tree: Path) -> None:
    """CloudFormation takes up new code only under a new key."""
    before = build_lambda_package(copied_tree).file_name
    with (copied_tree / "batch_transform" / "transform_job.py").open("a") as module:
        module.write("# changed\n")
    assert build_lambda_package(copied_tree).file_name != before


def test_another_compression_makes_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What zlib makes differs from version to version; that is no reason to deploy."""
    before = build_lambda_package(ROOT)
    monkeypatch.setattr(zipfile, "ZIP_DEFLATED", zipfile.ZIP_BZIP2)
    package = build_lambda_package(ROOT)
    assert package.body != before.body
    assert package.file_name == before.file_name


def test_a_module_of_the_scripts_alone_makes_no_other_name(copied_tree: Path) -> None:
    """What the functions do not import is neither in the zip nor a reason to deploy."""
    before = build_lambda_package(copied_tree)
    with (copied_tree / "batch_transform" / "command_line.py").open("a") as module:
        module.write("# changed\n")
    assert build_lambda_package(copied_tree) == before
    assert not {"batch_transform/terminal.py", "deploy_lambda.py"}.intersection(before.files)


def test_the_zip_is_small() -> None:
    """At most 200 KB: cold starts pay for every byte."""
    assert len(build_lambda_package(ROOT).body) <= 200_000


def test_the_zip_lives_with_boto3_alone(tmp_path: Path) -> None:
    """
    An isolated interpreter with only Lambda's own libraries beside the zip imports it.

    A cold start pays for what is imported: our modules add nothing to what boto3 loads by itself.
    """
    code, runtime = tmp_path / "code", tmp_path / "runtime"
    with zipfile.ZipFile(io.BytesIO(build_lambda_package(ROOT).body)) as archive:
        archive.extractall(code)
    runtime.mkdir()
    packages = Path(site.getsitepackages()[0])
    for name in OF_THE_RUNTIME:
        (runtime / name).symlink_to(packages / name)
    (runtime / "six.py").symlink_to(packages / "six.py")

    # -S: not even the packages of this environment. -I: no folder of the caller's.
    finished = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT, str(code), str(runtime)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )

    assert finished.stderr == ""
    handlers, modules = finished.stdout.splitlines()
    assert handlers == "handle_requests handle_completion"
    added = set(modules.split()) - {*OF_THE_RUNTIME}
    assert added == {"batch_transform", "lambda_batch_transform"}
