"""
The functions' code as a zip: the handler and the modules it imports, found by reading its imports.

The same sources give the same bytes on any machine, so its digest names it and unchanged code is
no new deployment. Nothing is compressed: what zlib makes differs from version to version. Knows
nothing of AWS.
"""

import ast
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HANDLER = "lambda_batch_transform.py"
_PACKAGE = "batch_transform"
_EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)
_READABLE_BY_ALL = 0o644 << 16


@dataclass(frozen=True)
class LambdaPackage:
    """A zip in memory, and the paths in it."""

    body: bytes
    files: list[str]

    @property
    def file_name(self) -> str:
        """A name made of the content."""
        return f"{hashlib.sha256(self.body).hexdigest()[:16]}.zip"


def build_lambda_package(root: Path) -> LambdaPackage:
    """Return the zip of the handler that lies in *root*; its owner, mode and time stay out."""
    files = _files_needed(root)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in files:
            entry = zipfile.ZipInfo(file, date_time=_EARLIEST_TIME)
            entry.create_system = 3  # the mode is Unix's, whatever this machine runs
            entry.external_attr = _READABLE_BY_ALL
            archive.writestr(entry, (root / file).read_bytes())
    return LambdaPackage(buffer.getvalue(), files)


def _files_needed(root: Path) -> list[str]:
    needed: set[str] = set()
    unread = {HANDLER, f"{_PACKAGE}/__init__.py"}
    while unread:
        file = unread.pop()
        needed.add(file)
        unread.update({*_own_imports(root / file)} - needed)
    return sorted(needed)


def _own_imports(path: Path) -> Iterator[str]:
    """Yield the files of our package that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_PACKAGE}."):
            yield f"{node.module.replace('.', '/')}.py"
