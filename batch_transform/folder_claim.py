"""
A job's folder while its job is prepared: held by one run, and emptied again if that run fails.

Of two runs of one name the second must neither add to the first one's shards nor, failing, take
them back. Knows the claim, `request.json`; knows nothing of what else a run puts into the folder.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

from batch_transform.aws import AwsError, explain
from batch_transform.errors import AwsRefused, BatchTransformError, JobMayRun
from batch_transform.naming import JobFolder
from batch_transform.s3_objects import (
    delete_objects,
    exists_in_s3,
    list_objects,
    put_object_once,
    read_object,
    read_piece,
)
from batch_transform.transform_request import Request

_BEGINNING = b'{\n  "claim": '
"""Of a `request.json` of ours; another's file may bear that name, too."""


@contextmanager
def claimed_folder(
    s3: Any, folder: JobFolder, requests: Mapping[str, Request]
) -> Iterator[Callable[[], None]]:
    """
    Write the requests to come into the folder as the first to do so, and hold it for the block.

    What is yielded is to be called before the job is started: it raises AwsRefused if the folder
    was emptied meanwhile, as by --clean, for the job would read a part of its documents.

    Whatever ends the block early, Ctrl-C included, the folder is emptied, but for JobMayRun: what
    a job reads must stay. Raises AwsRefused where another run holds the folder or one around it,
    or anything lies in it: it would be deleted with the rest. Where the folder cannot be emptied,
    as by a dead network, the first failure is told together with what is left.
    """
    claim = new_claim(requests)
    ours: set[bytes | None] = {claim}

    def check_is_held() -> None:
        if read_object(s3, folder.request) != claim:
            raise AwsRefused(
                f"{folder.root} was emptied while its documents were packed, as by --clean of this "
                "name: no job was started. Run it again"
            )

    try:
        _claim_free_folder(s3, folder, claim)
        # What lies there without any claim is from now on what this run has written.
        ours.add(None)
        yield check_is_held
    except JobMayRun:
        raise
    except BaseException as failure:
        try:
            _give_back(s3, folder, ours)
        except (*AwsError, KeyboardInterrupt):
            raise BatchTransformError(_left(folder, failure)) from failure
        raise


def new_claim(asked: Mapping[str, Any]) -> bytes:
    """
    Return a `request.json` that is told apart from any other of the same requests.

    So it is known again after an answer that was lost on its way, too.
    """
    return json.dumps({"claim": secrets.token_hex(8), **asked}, indent=2).encode() + b"\n"


def put_claim(s3: Any, folder: JobFolder, claim: bytes) -> bytes | None:
    """Write the claim if none is there; return the one that is, this one or another's."""
    is_first = put_object_once(s3, folder.request, claim, "application/json")
    return claim if is_first else read_object(s3, folder.request)


def is_claimed(s3: Any, folder: JobFolder) -> bool:
    """Tell whether a folder is a job's, or that of a run that prepares one."""
    if exists_in_s3(s3, folder.request) is None:
        return False
    return read_piece(s3, folder.request, 0, len(_BEGINNING)) == _BEGINNING


def asked_in(claim: bytes) -> dict[str, Any]:
    """Return what a claim asks for, whoever's it is."""
    asked = json.loads(claim)
    asked.pop("claim", None)
    return asked


def _give_back(s3: Any, folder: JobFolder, ours: Set[bytes | None]) -> None:
    if read_object(s3, folder.request) in ours:
        delete_objects(s3, folder.root)


def _left(folder: JobFolder, failure: BaseException) -> str:
    told = explain(failure) if isinstance(failure, AwsError) else str(failure) or "interrupted"
    return (
        f"{told}\n{folder.root} could not be emptied and may hold packed documents: remove them "
        f"with python check_batch_transform_status.py --clean {folder.job_name}"
    )


def _claim_free_folder(s3: Any, folder: JobFolder, claim: bytes) -> None:
    for above in folder.above():
        if is_claimed(s3, above):
            raise AwsRefused(
                f"{folder.root} would lie in {above.root}, the folder of another job, and be "
                "removed with it: choose an --s3-output-prefix outside of it"
            )
    # The console marks an empty folder with an object of the folder's own name.
    is_free = all(found.uri == folder.root for found in list_objects(s3, folder.root))
    if not is_free or put_claim(s3, folder, claim) != claim:
        raise AwsRefused(
            f"{folder.root} is in use by another run, or holds what a killed one or somebody else "
            "left there: choose another --job-name, or remove what a killed run left with "
            "check_batch_transform_status.py --clean"
        )
