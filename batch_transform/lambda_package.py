"""
The functions' code as a zip: the handler and the modules it imports, found by reading its imports.

The digest of the sources names it, so unchanged code is no new deployment from any machine; the
zip's own digest would not do, since what zlib makes differs from version to version. Knows nothing
of AWS.
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
    """A zip in memory, the name that its sources give it, and the paths in it."""

    body: bytes
    file_name: str
    files: list[str]


def build_lambda_package(root: Path) -> LambdaPackage:
    """Return the zip of the handler that lies in *root*; its owner, mode and time stay out."""
    sources = {file: (root / file).read_bytes() for file in _files_needed(root)}
    return LambdaPackage(_zip_of(sources), f"{_digest_of(sources)}.zip", list(sources))


def _zip_of(sources: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file, source in sources.items():
            entry = zipfile.ZipInfo(file, date_time=_EARLIEST_TIME)
            entry.create_system = 3  # the mode is Unix's, whatever this machine runs
            entry.external_attr = _READABLE_BY_ALL
            archive.writestr(entry, source, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _digest_of(sources: dict[str, bytes]) -> str:
    digests = [f"{hashlib.sha256(source).hexdigest()} {file}" for file, source in sources.items()]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


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
