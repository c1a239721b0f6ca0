"""
The documents of a job that reads files as they lie, looked at before a machine is rented.

Knows which lines such a job may hold: the container answers a blank or unreadable one in its place,
while one that is too large would cost its file all its answers, and those of a file in another
encoding would be answered as if they were text. Knows nothing of how a job is started.
"""

from collections.abc import Callable
from typing import Any

from batch_transform.file_list import InputFile
from batch_transform.input_documents import InputFolder, InputScan
from batch_transform.left_out_lines import LeftOutLines
from batch_transform.naming import JobFolder


def check_documents(
    s3: Any,
    input_folder: InputFolder,
    job_folder: JobFolder,
    *,
    max_payload_in_mb: int,
    on_file: Callable[[InputFile], None],
    is_strict: bool = False,
) -> dict[str, int]:
    """
    Read all files once; return how many lines hold no document, by code.

    They are named in `left_out.jsonl`. Raises InvalidInput, naming the lines, for those that spoil
    their files and, if *is_strict*, for all; also where there is no document at all.
    """
    documents = 0
    with LeftOutLines(s3, job_folder.left_out) as left_out:
        scan = InputScan(s3, input_folder, max_payload_in_mb, left_out)
        for document in scan.documents(on_file):
            documents += scan.fits(document, len(document.text.encode()))
        left_out.check(documents, input_folder.uri, is_strict=is_strict, is_read_as_it_is=True)
    return left_out.counts
