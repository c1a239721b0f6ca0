"""
Files that are large already are not packed: SageMaker reads them by manifest, as they lie.

Each such file counts as one shard. Its answers bear no names, so source and line come from the
file's name and each answer's place; their number proves that none is lost, and the file's ETag that
it is the file whose lines were counted. So every line must be a document: what SageMaker makes of a
blank line is not documented.
"""

from collections.abc import Callable
from typing import Any

from batch_transform.file_list import InputFile
from batch_transform.input_documents import InputFolder, read_documents
from batch_transform.packed_input import IdentityDigest, PackedInput, Shard
from batch_transform.s3_objects import open_object
from batch_transform.text_lines import Document

LARGE_FILE_BYTES = 32 << 20
"""Twice the largest shard: small enough for progress and retry, too large to copy without need."""


def are_all_large(folder: InputFolder) -> bool:
    """Tell whether every file is large and can be read as it is."""
    return all(
        file.size_in_bytes >= LARGE_FILE_BYTES and not file.is_gzipped for file in folder.files
    )


def take_large_files(
    s3: Any,
    folder: InputFolder,
    *,
    max_payload_in_mb: int,
    on_file: Callable[[InputFile], None],
) -> PackedInput | None:
    """
    Read the files once and return them as shards, so that it is known which answers they owe.

    Returns None at the first line that is no document: such files are to be packed, without the
    lines that cannot be sent.
    """
    shards, characters = [], 0
    for file in folder.files:
        identities, records = IdentityDigest(), 0
        with open_object(s3, file.uri, file.entity_tag) as content:
            for line in read_documents(file, content, max_payload_in_mb << 20):
                if not isinstance(line, Document):
                    return None
                identities.add(line.source, line.line)
                records = line.line
                characters += len(line.text)
        shards.append(
            Shard(
                name=file.source,
                records=records,
                size_in_bytes=file.size_in_bytes,
                identity_digest=identities.hexdigest(),
                first=f"{file.source} line 1",
                last=f"{file.source} line {records}",
                entity_tag=file.entity_tag,
            )
        )
        on_file(file)
    return PackedInput(
        shards=shards,
        files=len(folder.files),
        documents=sum(shard.records for shard in shards),
        characters=characters,
        left_out={},
        objects_left_out=folder.left_out.to_json(),
        is_by_manifest=True,
    )
