"""
The shard outputs of a job become one checked predictions.json and a summary.json.

Streams: memory does not grow with the number of records. Reads answers as the container writes
them, one JSON object a line; never needs a document's text.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from batch_transform.errors import IncompleteOutput
from batch_transform.job_record import JobRecord
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.packed_input import IdentityDigest, Shard
from batch_transform.s3_objects import S3ObjectWriter, list_objects, put_object, read_lines
from batch_transform.transform_job import TransformJob

_IDENTITIES_SHOWN = 10


@dataclass
class AnswerCounts:
    """What the answers say, summed up one answer at a time."""

    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    documents_by_class: Counter[str] = field(default_factory=Counter)
    confidence_by_class: Counter[str] = field(default_factory=Counter)

    def add(self, answer: dict[str, Any]) -> None:
        """Count one answer: a prediction with its confidence, or an error with its code."""
        if "error" in answer:
            self.errors[answer["error"]["code"]] += 1
            return
        best = answer["predictions"]["top_predictions"][0]
        self.answered += 1
        self.documents_by_class[best["class"]] += 1
        self.confidence_by_class[best["class"]] += best["score"]

    @property
    def documents(self) -> int:
        """All answers, errors included."""
        return self.answered + self.errors.total()

    def classes(self) -> dict[str, dict[str, float]]:
        """Return documents and mean confidence of each class, the most frequent class first."""
        return {
            label: {
                "documents": documents,
                "mean_confidence": round(self.confidence_by_class[label] / documents, 4),
            }
            for label, documents in self.documents_by_class.most_common()
        }

    def mean_confidence(self) -> float | None:
        """Return the mean over all predictions, or None where there is none."""
        if not self.answered:
            return None
        return round(sum(self.confidence_by_class.values()) / self.answered, 4)


def consolidate(s3: Any, folder: JobFolder, record: JobRecord, job: TransformJob) -> dict[str, Any]:
    """
    Write predictions.json and then summary.json into the job's folder; return the summary.

    predictions.json is one JSON array, one record a line. Every packed record must be answered
    exactly once, in its place. Raises IncompleteOutput otherwise, and leaves neither file.
    Running it again writes the same bytes.
    """
    outputs = find_shard_outputs(s3, folder, record)
    counts = AnswerCounts()
    with S3ObjectWriter(s3, folder.predictions(), "application/json") as predictions:
        separator = b"[\n"
        for shard in record.packed.shards:
            for line, answer in _verified_answers(s3, folder, shard, outputs[shard.name]):
                counts.add(answer)
                predictions.write(separator + line)
                separator = b",\n"
        predictions.write(b"\n]\n")
    summary = _summary(folder, record, job, counts)
    body = json.dumps(summary, indent=2, ensure_ascii=False).encode() + b"\n"
    put_object(s3, folder.summary, body, "application/json")
    return summary


def find_shard_outputs(s3: Any, folder: JobFolder, record: JobRecord) -> dict[str, S3Uri]:
    """
    Return where each shard's output lies, matched by the end of the key.

    SageMaker does not document how it writes the part before. Raises IncompleteOutput naming the
    shards that have none.
    """
    found = {
        output.uri.key.rsplit("/", 1)[-1].removesuffix(".out"): output.uri
        for output in list_objects(s3, folder.shard_outputs)
    }
    missing = [shard.name for shard in record.packed.shards if shard.name not in found]
    if missing:
        raise IncompleteOutput(
            f"{len(missing)} of {len(record.packed.shards)} shards have no output under "
            f"{folder.shard_outputs}: {', '.join(missing[:_IDENTITIES_SHOWN])}"
        )
    return found


def _verified_answers(
    s3: Any, folder: JobFolder, shard: Shard, output: S3Uri
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each line of a shard's output with what it says; raise at the end if one is amiss."""
    identities = IdentityDigest()
    for line in read_lines(s3, output):
        answer = _read_answer(line, output)
        identities.add(answer["source"], answer["line"])
        yield line.removesuffix(b"\n"), answer
    if identities.hexdigest() != shard.identity_digest:
        raise IncompleteOutput(_explain_mismatch(s3, folder.shards.child(shard.name), output))


def _read_answer(line: bytes, output: S3Uri) -> dict[str, Any]:
    try:
        answer = json.loads(line)
        if answer["source"] and answer["line"] and (answer.keys() & {"predictions", "error"}):
            return answer
    except (ValueError, KeyError, TypeError):
        pass
    raise IncompleteOutput(
        f"{output} holds a line that is no answer of the container: was the model's image built "
        "from custom_container?"
    )


def _explain_mismatch(s3: Any, packed: S3Uri, output: S3Uri) -> str:
    """Compare a shard with its output, record by record; reads both again, as this is rare."""
    asked, answered = _count_identities(s3, packed), _count_identities(s3, output)
    found = {
        "not answered": asked - answered,
        "answered but never asked, or more than once": answered - asked,
    }
    faults = [
        f"{what}: {identities.total()} ({_shown(identities)})"
        for what, identities in found.items()
        if identities
    ]
    return f"{output} does not answer {packed}: " + (
        "; ".join(faults) or "every record is answered once, but not in its place"
    )


def _count_identities(s3: Any, uri: S3Uri) -> Counter[tuple[str, int]]:
    return Counter((r["source"], r["line"]) for r in map(json.loads, read_lines(s3, uri)))


def _shown(identities: Counter[tuple[str, int]]) -> str:
    shown = sorted(identities)[:_IDENTITIES_SHOWN]
    return ", ".join(f"{source} line {line}" for source, line in shown)


def _summary(
    folder: JobFolder, record: JobRecord, job: TransformJob, counts: AnswerCounts
) -> dict[str, Any]:
    return {
        "job_name": job.name,
        "status": job.status,
        "predictions": str(folder.predictions()),
        "input": record.input_uri,
        "input_files": record.packed.files,
        "documents": counts.documents,
        "answered": counts.answered,
        "errors": dict(counts.errors.most_common()),
        "left_out": record.packed.left_out,
        "mean_confidence": counts.mean_confidence(),
        "classes": counts.classes(),
        "model_name": job.model_name,
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "billed_seconds": job.billed_seconds,
    }
