"""What the Dockerfile and .dockerignore say, without building the image."""

import shutil
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import pytest

from local_aws.container_image import ContainerImage, instructions

STRAYS = (
    *(".env", ".env.bak", "pip.conf", "model.tar.gz", "__pycache__/app.cpython-311.pyc"),
    *(".git/config", "tests/test_app.py", "src/.env", "src/records.py~"),
    *("src/__pycache__/cpu_kernels.nbi", "src/tests/test_records.py"),
)


@pytest.fixture
def context(container_dir, tmp_path):
    """The build context as a clone has it."""
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(container_dir, tmp_path / "context", ignore=ignored)


def files(folder):
    """All files below a folder, relative to it."""
    return {PurePosixPath(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def matches(path, pattern):
    """Whether a path is what a pattern of .dockerignore names; ``**`` is not known here."""
    names, wanted = path.parts, PurePosixPath(pattern).parts
    return len(names) == len(wanted) and all(map(fnmatchcase, names, wanted))


def let_through(context):
    """The files that docker sends to the build: the last pattern that fits a file decides."""
    patterns = (context / ".dockerignore").read_text().splitlines()
    sent = files(context)
    for path in files(context):
        for pattern in patterns:
            if any(matches(one, pattern.removeprefix("!")) for one in (path, *path.parents)):
                (sent.add if pattern.startswith("!") else sent.discard)(path)
    return sent


def copied(context):
    """The files that the Dockerfile copies out of the build context."""
    found = set()
    for instruction, argument in instructions((context / "Dockerfile").read_text()):
        if instruction == "COPY" and not argument.startswith("--from"):
            *sources, _ = argument.split()
            for path in (path for source in sources for path in context.glob(source)):
                inside = path.rglob("*") if path.is_dir() else [path]
                found |= {PurePosixPath(one.relative_to(context)) for one in inside}
    return found


def test_the_build_is_sent_what_it_copies_and_nothing_else(context):
    """Neither what builds the image, nor secrets, nor what lies beside the code of a developer."""
    needed = copied(context)
    for name in STRAYS:
        stray = context / name
        stray.parent.mkdir(exist_ok=True)
        stray.touch()

    assert {PurePosixPath("app.py"), PurePosixPath("src/inference.py")} < needed
    assert let_through(context) == needed


def test_nvidias_runtime_gives_the_container_its_gpus(container_dir):
    """It mounts the driver for those that the image's variables ask for, and for computing."""
    environment = ContainerImage.of_folder(container_dir).environment

    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert environment["NVIDIA_DRIVER_CAPABILITIES"].split(",") == ["compute", "utility"]
