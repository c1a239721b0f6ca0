"""
The model artefact: a checked folder becomes a reproducible model.tar.gz, which S3 keeps by content.

The same files give the same bytes on any machine, so a digest tells whether anything changed.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_transform.errors import BatchTransformError, InvalidModelFolder, InvalidSettings
from batch_transform.model_folder import check_model_folder, files_to_pack
from batch_transform.naming import S3Uri, model_artifact_key
from batch_transform.s3_objects import exists_in_s3

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""`progress("Packing", total_bytes)` opens a bar and gives the function that moves it on."""


@dataclass(frozen=True)
class PackagedModel:
    """A model.tar.gz just written: what it holds and what was left out, each with its reason."""

    path: Path
    packed: list[str]
    left_out: list[str]


@dataclass(frozen=True)
class ModelArtifact:
    """A model.tar.gz and where it lies, or will lie, in S3; *version* identifies its content."""

    uri: S3Uri
    version: str
    path: Path | None = None


def package_model(folder: Path, output: Path) -> PackagedModel:
    """
    Check *folder* and pack it, flat, into *output*.

    Raises InvalidModelFolder, having written nothing, and BatchTransformError for what cannot
    be read or written. The archive appears whole or not at all.
    """
    check_model_folder(folder)
    packed, left_out = files_to_pack(folder)
    unfinished = output.with_name(output.name + ".unfinished")
    try:
        with unfinished.open("wb") as file:
            _write_archive(packed, file)
        unfinished.replace(output)
    except OSError as error:
        raise BatchTransformError(
            f"{folder} could not be packed into {output}: {error}; nothing of it is left there. "
            "Where the disk is full, make room or name another --output-path"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return PackagedModel(output, [path.name for path in packed], left_out)


def local_artifact(path: Path, model_prefix: S3Uri) -> ModelArtifact:
    """Return the artefact of a local model.tar.gz, its place in S3 named by its content."""
    _check_archive(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ModelArtifact(model_prefix.child(model_artifact_key(sha256)), sha256, path)


def uploaded_artifact(s3: Any, uri: S3Uri) -> ModelArtifact:
    """Return the artefact that already lies at *uri*."""
    entity_tag = exists_in_s3(s3, uri)
    if entity_tag is None:
        raise InvalidSettings([f"there is no model artifact at {uri}"])
    return ModelArtifact(uri, entity_tag)


def upload(s3: Any, artifact: ModelArtifact, progress: Progress) -> None:
    """Put the artefact where it belongs, and show how far that is, unless it is there."""
    path, place = artifact.path, artifact.uri
    if path is None or exists_in_s3(s3, place) is not None:
        return
    with progress("Uploading the model", path.stat().st_size) as advance:
        s3.upload_file(str(path), place.bucket, place.key, Callback=advance)


def _write_archive(paths: list[Path], file: io.BufferedIOBase) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=1, mtime=0) as compressed,
        tarfile.open(mode="w", fileobj=compressed, format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in paths:
            entry = tarfile.TarInfo(path.name)  # owner, mode and time of the source stay out
            entry.size = path.stat().st_size
            entry.mode = 0o644
            with path.open("rb") as source:
                archive.addfile(entry, source)


def _check_archive(path: Path) -> None:
    try:
        with tarfile.open(path, mode="r:gz") as archive:
            first = archive.next()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InvalidModelFolder(
            f"{path} is not a model artifact (a gzipped tar): {error}; "
            "write it with python package_model.py"
        ) from None
    if first is None:
        raise InvalidModelFolder(f"{path} is an empty archive; write it with package_model.py")
