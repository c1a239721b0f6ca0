"""
The shard outputs of a job become its results: one checked file of all answers, and what they say.

Streams: memory does not grow with the number of records. What makes an answer right is known next
door, and so is what each result looks like.
"""

import json
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC
from typing import Any

from batch_transform.answer_counts import AnswerCounts
from batch_transform.errors import IncompleteOutput, InvalidSettings
from batch_transform.job_account import JobAccount, account_of, total
from batch_transform.job_heirs import heir_at_the_end
from batch_transform.job_report import ReportedError, report_page
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.output_formats import FORMATS
from batch_transform.packed_input import Shard
from batch_transform.results_wanted import ResultsWanted
from batch_transform.review_list import ReviewList, margin_of
from batch_transform.s3_objects import (
    S3ObjectWriter,
    exists_in_s3,
    put_object,
    read_lines,
    read_object,
)
from batch_transform.shard_outputs import PackedJob
from batch_transform.transform_job import TransformJob
from batch_transform.wording import counted, first_of

_FAULTS_SHOWN = 10
_ERRORS_REPORTED = 200


def consolidate(
    s3: Any,
    packed_job: PackedJob,
    job: TransformJob,
    wanted: ResultsWanted,
    accounts: Sequence[JobAccount] = (),
    *,
    is_partial: bool = False,
) -> dict[str, Any]:
    """
    Write the results into the job's folder, summary.json last, and return the summary.

    Every packed record must be answered exactly once, in its place. Raises IncompleteOutput
    otherwise and writes no result, unless it *is_partial*: then the shards at fault are left out
    and named in the summary. Raises it for outputs that are no shard's, too. Running it again
    writes the same answers, and removes those in another form. *accounts* tell what this job took,
    and those that it goes on with.
    """
    packed_job.check_outputs_are_its_own(s3)
    faults = packed_job.faults(s3) if is_partial else {}
    answers = _Answers(s3, packed_job, wanted)
    try:
        answers.write(leave_out=faults)
    except IncompleteOutput:
        told = [_told(packed_job.faults(s3)), *ways_to_go_on(s3, packed_job)]
        raise IncompleteOutput("\n".join(told)) from None
    summary = (
        answers.summary()
        | _account(job, accounts or [account_of(job)], answers.documents_by_job)
        | _verdict(faults)
    )
    folder = packed_job.folder
    _remove_other_forms(s3, folder, wanted.output_format)
    page = report_page(summary, answers.first_errors, answers.review.rows())
    put_object(s3, folder.report, page.encode(), "text/html; charset=utf-8")
    body = json.dumps(summary, indent=2, ensure_ascii=False).encode() + b"\n"
    put_object(s3, folder.summary, body, "application/json")
    return summary


def complete_results(s3: Any, folder: JobFolder) -> dict[str, Any] | None:
    """Return the summary of the complete results that lie in a job's folder, if they do."""
    body = read_object(s3, folder.summary)
    summary = json.loads(body) if body else {}
    # summary.json of a job that failed, or packed nothing, speaks of no results.
    if not (summary.get("is_complete") and "results" in summary):
        return None
    return summary if exists_in_s3(s3, S3Uri.parse(summary["predictions"])) else None


def _remove_other_forms(s3: Any, folder: JobFolder, output_format: str) -> None:
    """Remove what an earlier consolidation made: it may be of fewer answers, or hold texts."""
    for other in FORMATS.keys() - {output_format}:
        _remove_if_there(s3, folder.predictions(other))


def _remove_if_there(s3: Any, place: S3Uri) -> None:
    """In a versioned bucket, to delete what is not there would leave a marker all the same."""
    if exists_in_s3(s3, place):
        s3.delete_object(Bucket=place.bucket, Key=place.key)


def ways_to_go_on(s3: Any, packed_job: PackedJob) -> list[str]:
    """Return what an operator can do about a job that is not all answered, a sentence each."""
    job_name = packed_job.record.job_name
    heir = heir_at_the_end(s3, packed_job.packed_in)
    if heir and heir != job_name:
        status_script = f"check_batch_transform_status.py --watch --job-name {heir}"
        return [f"{heir} went on with it and has all answers: {status_script}"]
    return [
        f"run the rest: setup_optimized_batch_transform.py --resume {job_name}",
        "or take what there is: check_batch_transform_status.py --watch --partial --job-name "
        + job_name,
    ]


def check_complete(summary: dict[str, Any]) -> None:
    """Raise IncompleteOutput for the summary of a partial result, or of errors alone."""
    if not summary["is_complete"]:
        raise IncompleteOutput(
            f"answered: only {summary['documents']:,} of "
            f"{counted(summary['documents_packed'], 'document')}; run the rest with --resume "
            f"{summary['job_name']}.\n" + _told(summary["faults"])
        )
    if not summary["answered"]:
        raise IncompleteOutput(
            f"none of {counted(summary['documents'], 'document')} got a class: errors.jsonl beside "
            "the answers says why. The packed texts stay until you remove them with "
            f"check_batch_transform_status.py --clean {summary['job_name']}"
        )


class _Answers:
    """All answers of a job on their way into one file, and what is learnt as they pass."""

    def __init__(self, s3: Any, packed_job: PackedJob, wanted: ResultsWanted) -> None:
        self._s3 = s3
        self._packed_job = packed_job
        self._wanted = wanted
        self.counts = AnswerCounts()
        self.documents_by_job = Counter[str]()
        self.review = ReviewList(wanted.review_below)
        self.first_errors: list[ReportedError] = []

    def write(self, leave_out: Container[str]) -> None:
        """Write all answers, errors.jsonl and review.csv; the latter two where there is reason."""
        folder, form = self._packed_job.folder, FORMATS[self._wanted.output_format]
        with ExitStack() as files:

            def create(place: S3Uri, content_type: str, **how: bool) -> S3ObjectWriter:
                return files.enter_context(S3ObjectWriter(self._s3, place, content_type, **how))

            place = folder.predictions(self._wanted.output_format)
            sink = create(place, form.content_type, can_be_empty=True)
            errors = create(folder.errors, "application/jsonlines")
            review = create(folder.review, "text/csv")
            writer = form(sink)
            for line, answer in self._verified_answers(leave_out):
                writer.write(line, answer)
                self._take(line, answer, errors)
            writer.finish()
            self._add_left_out(errors)
            if self.review.documents:
                review.write(self.review.to_csv())
            # The files appear as this block ends; an older summary would speak of other answers.
            _remove_if_there(self._s3, folder.summary)

    def summary(self) -> dict[str, Any]:
        """Return what the answers say."""
        record, counts = self._packed_job.record, self.counts
        place = self._packed_job.folder.predictions(self._wanted.output_format)
        return {
            "job_name": record.job_name,
            "predictions": str(place),
            "input": record.input_uri,
            "input_files": record.packed.files,
            "documents_packed": record.packed.documents,
            "documents": counts.documents,
            "answered": counts.answered,
            "errors": dict(counts.errors.most_common()),
            "left_out": record.packed.left_out,
            "objects_left_out": record.packed.objects_left_out,
            "characters": record.packed.characters,
            "mean_confidence": counts.mean_confidence(),
            "documents_by_confidence": counts.documents_by_confidence,
            "classes": counts.classes(),
            "review": {
                "below": self._wanted.review_below,
                "documents": self.review.documents,
                "listed": len(self.review.rows()),
            },
            "resumes": record.resumes,
            "results": {
                "output_format": self._wanted.output_format,
                "review_below": self._wanted.review_below,
                "with_text": self._wanted.with_text,
            },
        }

    def _verified_answers(self, leave_out: Container[str]) -> Iterator[tuple[bytes, dict]]:
        outputs = self._packed_job.outputs(self._s3)
        for shard in self._packed_job.record.packed.shards:
            if shard.name in leave_out:
                continue
            if shard.name not in outputs:
                raise IncompleteOutput(f"{shard} has no output")
            output = outputs[shard.name]
            answers = self._packed_job.answers(self._s3, shard, output)
            yield from self._with_texts(shard, answers) if self._wanted.with_text else answers
            self.documents_by_job[self._packed_job.writer_of(output)] += shard.records

    def _with_texts(
        self, shard: Shard, answers: Iterator[tuple[bytes, dict]]
    ) -> Iterator[tuple[bytes, dict]]:
        """Put its text into each answer; the order is the shard's, or verification fails."""
        texts = self._packed_job.texts(self._s3, shard)
        try:
            for (_, answer), text in zip(answers, texts, strict=True):
                answer["text"] = text
                yield json.dumps(answer, ensure_ascii=False).encode(), answer
        except self._s3.exceptions.NoSuchKey:
            problem = (
                f"--with-text: the packed texts of {self._packed_job.record.job_name} are deleted, "
                "as they are after a verified consolidation without --keep-shards; its results "
                "stay as they are. For others without the texts, add --without-text"
            )
            raise InvalidSettings([problem]) from None
        except ValueError:
            raise IncompleteOutput(f"{shard} has more or fewer answers than records") from None

    def _take(self, line: bytes, answer: dict[str, Any], errors: S3ObjectWriter) -> None:
        if "error" in answer:
            self.counts.add_error(answer["error"])
            self._add_error(line, answer, errors)
            return
        top = answer["predictions"]["top_predictions"]
        self.counts.add_prediction(top[0]["class"], top[0]["score"])
        margin = margin_of(top)
        if margin < self.review.below:
            self.review.add(answer, margin)

    def _add_left_out(self, errors: S3ObjectWriter) -> None:
        """Lines that were never sent stand behind the answers; blank ones are no error."""
        if not self._packed_job.record.packed.left_out:
            return
        for line in read_lines(self._s3, self._packed_job.packed_in.left_out):
            answer = json.loads(line)
            if answer["error"]["code"] != "EmptyDocument":
                self._add_error(line.removesuffix(b"\n"), answer, errors)

    def _add_error(self, line: bytes, answer: dict[str, Any], errors: S3ObjectWriter) -> None:
        errors.write(line + b"\n")
        if len(self.first_errors) < _ERRORS_REPORTED:
            error = answer["error"]
            self.first_errors.append(
                ReportedError(answer["source"], answer["line"], error["code"], error["message"])
            )


def _account(
    job: TransformJob, accounts: Sequence[JobAccount], documents_by_job: Counter[str]
) -> dict[str, Any]:
    """Return the job's own figures, sums over all jobs that it took, and each of them by itself."""
    return {
        "status": job.status,
        "model_name": job.model_name,
        "created_at": job.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        "ended_at": job.ended_at and job.ended_at.astimezone(UTC).isoformat(timespec="seconds"),
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "billed_seconds": total([account.billed_seconds for account in accounts]),
        "dollars": total([account.dollars for account in accounts]),
        "price_basis": accounts[-1].price_basis,
        "tokens": total([account.tokens for account in accounts]),
        "tokens_per_second": accounts[-1].tokens_per_second,
        "jobs": [
            asdict(account) | {"documents": documents_by_job[account.job_name]}
            for account in accounts
        ],
    }


def _verdict(faults: dict[str, str]) -> dict[str, Any]:
    return {"is_complete": not faults, "faults": faults}


def _told(faults: dict[str, str]) -> str:
    shown = first_of(list(faults.values()), _FAULTS_SHOWN)
    return "\n".join([f"{counted(len(faults), 'shard')} not answered:", *shown])
