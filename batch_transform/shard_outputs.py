"""
The outputs of a job's shards: where they lie, what they answer, and whether that is all.

Identity proves it: each packed record bears source and line, and so does its answer. Streams;
never needs a document's text.
"""

import json
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn

from batch_transform.errors import IncompleteOutput
from batch_transform.job_record import JobRecord
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.packed_input import IdentityDigest, Shard
from batch_transform.s3_objects import exists_in_s3, list_objects, read_lines
from batch_transform.text_lines import read_line
from batch_transform.wording import counted

_SHOWN = 10


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


@dataclass(frozen=True)
class PackedJob:
    """A job that packed its input, or resumed one that did, with all folders it has to do with."""

    folder: JobFolder
    record: JobRecord

    @property
    def packed_in(self) -> JobFolder:
        """The folder of the job that packed the input."""
        return self.folder.beside(next(iter(self.record.resumes), self.record.job_name))

    @property
    def shards(self) -> S3Uri:
        """Below which the shards lie by their names: packed, or the user's own large files."""
        if not self.record.packed.is_by_manifest:
            return self.packed_in.shards
        place = S3Uri.parse(self.record.input_uri)
        return S3Uri(place.bucket, place.key[: place.key.rfind("/") + 1])

    def outputs(self, s3: Any) -> dict[str, S3Uri]:
        """Return where each shard's output lies, by the shard's name; the newest job's wins."""
        found = [self._outputs_below(s3, place) for place in self._output_places()]
        return {name: uri for outputs in found for name, uri in outputs.items()}

    def check_outputs_are_its_own(self, s3: Any) -> None:
        """Raise IncompleteOutput for outputs of no shard, or a second one of a shard, by name."""
        places = self._output_places()
        if foreign := [str(uri) for place in places for uri in self._foreign_outputs(s3, place)]:
            raise IncompleteOutput(
                f"{counted(len(foreign), 'output')} that no packed shard has: "
                f"{', '.join(foreign[:_SHOWN])}. Somebody else put them there: look at them, "
                "remove them and consolidate again"
            )

    def own_outputs(self, s3: Any) -> dict[str, S3Uri]:
        """Return where the outputs lie that this job wrote, none of those it goes on with."""
        return self._outputs_below(s3, self.folder.shard_outputs)

    def writer_of(self, output: S3Uri) -> str:
        """Return the name of the job that wrote an output."""
        folders = ((name, self.folder.beside(name).root) for name in self.record.resumes)
        writers = (name for name, root in folders if root.covers(output))
        return next(writers, self.record.job_name)

    def _output_places(self) -> list[S3Uri]:
        earlier = [self.folder.beside(name).shard_outputs for name in self.record.resumes]
        return [*earlier, self.folder.shard_outputs]

    def _foreign_outputs(self, s3: Any, place: S3Uri) -> Iterator[S3Uri]:
        expected = set(self._outputs_below(s3, place).values())
        for found in list_objects(s3, place):
            if found.uri.key.endswith(".out") and found.uri not in expected:
                yield found.uri

    def _outputs_below(self, s3: Any, place: S3Uri) -> dict[str, S3Uri]:
        """
        Match outputs by the end of what stands below `output/`.

        SageMaker does not document how it writes the part before.
        """
        names = {shard.name for shard in self.record.packed.shards}
        found = {
            _longest_ending(
                output.uri.key[len(place.key) :].removesuffix(".out"), names
            ): output.uri
            for output in list_objects(s3, place)
        }
        return {name: uri for name, uri in found.items() if name}

    def answers(self, s3: Any, shard: Shard, output: S3Uri) -> Iterator[tuple[bytes, dict]]:
        """
        Yield each line of a shard's output, its end taken off, with what it says.

        Raises IncompleteOutput for a user's file that is not what it was, and, at the end, unless
        each record was answered once and in its place.
        """
        self._check_unchanged(s3, shard)
        lines = read_lines(s3, output)
        if self.record.packed.is_by_manifest:
            lines = _named(lines, shard.name)
        identities = IdentityDigest()
        for line in lines:
            answer = _read_answer(line, output)
            identities.add(answer["source"], answer["line"])
            yield line.removesuffix(b"\n"), answer
        if identities.hexdigest() != shard.identity_digest:
            raise _Mismatch(f"{output} does not answer {shard}")

    def texts(self, s3: Any, shard: Shard) -> Iterator[str]:
        """Yield the documents of a shard in their order; NoSuchKey where it was deleted."""
        lines = read_lines(s3, self.shards.child(shard.name), shard.entity_tag)
        for number, line in enumerate(lines, start=1):
            if self.record.packed.is_by_manifest:
                yield read_line(shard.name, number, line).text
            else:
                yield json.loads(line)["text"]

    def lost_shards(self, s3: Any) -> list[str]:
        """Return the names of the shards that are gone, or no longer what they were."""
        place = self.shards
        there = {
            found.uri.key.removeprefix(place.key): found.entity_tag
            for found in list_objects(s3, place)
        }
        return [
            shard.name
            for shard in self.record.packed.shards
            if shard.name not in there or shard.entity_tag not in {None, there[shard.name]}
        ]

    def faults(self, s3: Any) -> dict[str, str]:
        """Read everything again and return what is wrong with each shard that is not answered."""
        outputs = self.outputs(s3)
        found = {
            shard.name: self._fault(s3, shard, outputs.get(shard.name))
            for shard in self.record.packed.shards
        }
        return {name: fault for name, fault in found.items() if fault}

    def _check_unchanged(self, s3: Any, shard: Shard) -> None:
        place = self.shards.child(shard.name)
        if shard.entity_tag and exists_in_s3(s3, place) != shard.entity_tag:
            raise IncompleteOutput(
                f"{place} was changed or deleted after its lines were counted: nobody can tell "
                "which content was answered. Run it again when it is complete"
            )

    def _fault(self, s3: Any, shard: Shard, output: S3Uri | None) -> str | None:
        if output is None:
            return f"{shard} has no output"
        try:
            for _ in self.answers(s3, shard, output):
                pass
        except _Mismatch:
            if self.record.packed.is_by_manifest:
                answers = sum(1 for _ in read_lines(s3, output))
                return (
                    f"{output} holds {counted(answers, 'answer')}, "
                    f"{shard} has {counted(shard.records, 'line')}"
                )
            return _explain_mismatch(s3, self.shards.child(shard.name), output)
        except IncompleteOutput as error:
            return str(error)
        return None


def _longest_ending(path: str, names: Container[str]) -> str:
    """Return the first of `a/b/c`, `b/c` and `c` that is a name, or nothing."""
    while path and path not in names:
        path = path.partition("/")[2]
    return path


def _named(lines: Iterator[bytes], source: str) -> Iterator[bytes]:
    """Put the name that an answer owes to its place before whatever else it says."""
    for number, line in enumerate(lines, start=1):
        name = json.dumps({"source": source, "line": number}, ensure_ascii=False).encode()
        yield name[:-1] + b", " + line.lstrip()[1:]


class _Mismatch(IncompleteOutput):
    """Answers that are all of the container, but not those that were asked for."""


def _read_answer(line: bytes, output: S3Uri) -> dict[str, Any]:
    try:
        answer = _DECODER.decode(line.decode())
        if _is_answer(answer):
            return answer
    except (ValueError, LookupError, TypeError, OverflowError):
        pass
    raise IncompleteOutput(
        f"{output} holds a line that is no answer of the container: was the model's image built "
        "from custom_container?"
    )


def _is_answer(answer: dict[str, Any]) -> bool:
    """Tell whether it names a document and its classes, the best first, or an error."""
    if not (isinstance(answer["source"], str) and isinstance(answer["line"], int)):
        return False
    if "error" in answer:
        error = answer["error"]
        return isinstance(error["code"], str) and isinstance(error["message"], str)
    classes = answer["predictions"]["top_predictions"]
    are_named = all(isinstance(one["class"], str) and isfinite(one["score"]) for one in classes)
    return are_named and len(classes) > 0


def _explain_mismatch(s3: Any, packed: S3Uri, output: S3Uri) -> str:
    """Compare a shard with its output, record by record; one shard at a time is held."""
    try:
        asked = _count_identities(s3, packed)
    except s3.exceptions.NoSuchKey:
        return f"{output} does not answer {packed}, which is deleted: run the job again"
    answered = _count_identities(s3, output)
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
    shown = sorted(identities)[:_SHOWN]
    return ", ".join(f"{source} line {line}" for source, line in shown)
