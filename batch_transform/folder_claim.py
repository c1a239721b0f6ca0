"""
A job's folder while its job is prepared: held by one run, and emptied again if that run fails.

Of two runs of one name the second must neither add to the first one's shards nor, failing, take
them back. Knows the claim, `request.json`; knows nothing of what else a run puts into the folder.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from batch_transform.aws import AwsError
from batch_transform.errors import AwsRefused, JobMayRun
from batch_transform.naming import JobFolder
from batch_transform.s3_objects import (
    delete_objects,
    list_objects,
    put_object_once,
    read_object,
)
from batch_transform.transform_request import Request


@contextmanager
def claimed_folder(s3: Any, folder: JobFolder, requests: Mapping[str, Request]) -> Iterator[None]:
    """
    Write the requests to come into the folder as the first to do so, and hold it for the block.

    Whatever ends the block early, Ctrl-C included, the folder is emptied, but for JobMayRun: what
    a job reads must stay. Raises AwsRefused where another run holds the folder, or anything lies
    in it: it would be deleted with the rest.
    """
    # Told apart from another run's claim of the same requests, and known again after an answer
    # that was lost on its way.
    claim = json.dumps({"claim": secrets.token_hex(8), **requests}, indent=2).encode() + b"\n"
    try:
        _claim(s3, folder, claim)
        yield
    except JobMayRun:
        raise
    except BaseException:
        with suppress(*AwsError):  # the first failure is the one to be told
            if read_object(s3, folder.request) == claim:
                delete_objects(s3, folder.root)
        raise


def _claim(s3: Any, folder: JobFolder, claim: bytes) -> None:
    # The console marks an empty folder with an object of the folder's own name.
    is_free = all(found.uri == folder.root for found in list_objects(s3, folder.root))
    is_first = is_free and put_object_once(s3, folder.request, claim, "application/json")
    if not is_first and read_object(s3, folder.request) != claim:
        raise AwsRefused(
            f"{folder.root} is in use by another run, or holds what a killed one or somebody else "
            "left there: choose another --job-name, or look at what is left and remove it with "
            "check_batch_transform_status.py --clean"
        )
