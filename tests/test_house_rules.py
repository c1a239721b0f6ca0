"""The house rules: who may import whom, who may read the environment, who draws on the screen."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODEL_PACKAGES = {"flask", "numba", "numpy", "tokenizers", "torch", "transformers", "werkzeug"}

FORBIDDEN = {
    "batch_transform": MODEL_PACKAGES | {"app", "custom_container", "local_aws", "src"},
    "batch_transform/transform_request.py": {"boto3", "botocore", "click", "rich"},
    "custom_container": {"batch_transform", "boto3", "botocore", "click", "fine_tuning"},
    "custom_container/app.py": {"torch", "transformers"},
    "custom_container/src": {"flask", "gunicorn", "werkzeug"},
    "custom_container/src/cpu_kernels.py": {"torch", "transformers"},
    "custom_container/src/micro_batches.py": {"numpy", "torch", "transformers"},
    "fine_tuning": {"boto3", "botocore", "custom_container", "flask", "local_aws"},
    "local_aws": {"custom_container", "fine_tuning", "flask", "torch", "transformers"},
}
"""Room (a file or a folder) -> top-level names that it must never import."""

ONLY = {
    "click": {
        "batch_transform/command_line.py",
        "check_batch_transform_status.py",
        "deploy_lambda.py",
        "package_model.py",
        "send_batch_transform_request.py",
        "setup_batch_transform.py",
        "setup_optimized_batch_transform.py",
    },
    "rich": {"batch_transform/terminal.py"},
    "dotenv": {"batch_transform/command_line.py"},
}
"""Name -> the only files that may import it, the rooms of other trades left aside."""

READS_ENVIRONMENT = {
    "custom_container/gunicorn.conf.py",
    "custom_container/src/settings.py",
    "lambda_batch_transform.py",
}
"""local_aws and the tests start processes and may read it too."""


def python_files(room: str) -> list[Path]:
    """Return the files of a room."""
    path = ROOT / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def product_files() -> list[Path]:
    """Return the files of the laptop's house: the scripts and batch_transform."""
    return [*sorted(ROOT.glob("*.py")), *python_files("batch_transform")]


def imported_names(path: Path) -> Iterator[str]:
    """Yield the top-level name of every import in a file, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def relative(path: Path) -> str:
    """Return a path as the rules write it."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_nothing_that_the_house_forbids_it(room: str) -> None:
    """No file of the room imports a name it must not know."""
    assert (ROOT / room).exists()
    trespasses = {
        f"{relative(path)} imports {name}"
        for path in python_files(room)
        for name in FORBIDDEN[room].intersection(imported_names(path))
    }
    assert trespasses == set()


@pytest.mark.parametrize("name", ONLY)
def test_a_library_of_the_edge_stays_at_the_edge(name: str) -> None:
    """Only the files named for it import the library."""
    importers = {relative(path) for path in product_files() if name in imported_names(path)}
    assert importers <= ONLY[name]


def test_only_the_edge_reads_the_environment() -> None:
    """os.environ and os.getenv appear only in the files named for it."""
    rooms = [*product_files(), *python_files("custom_container")]
    readers = {
        relative(path)
        for path in rooms
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
    }
    assert readers <= READS_ENVIRONMENT


def test_the_scripts_do_not_know_the_local_aws() -> None:
    """Nothing the operator runs holds a word about an endpoint of this machine."""
    told = {
        relative(path)
        for path in product_files()
        for word in ("local_aws", "127.0.0.1", "localhost")
        if word in path.read_text()
    }
    assert told == set()
