"""The estimate: counted or sampled, priced by AWS or by a dated table, and honest about which."""

import gzip
import json
import re
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from batch_transform.aws import AwsClients
from batch_transform.container_image import pin_digest
from batch_transform.errors import InvalidInput
from batch_transform.input_documents import InputFolder, find_input
from batch_transform.input_sample import sample_input
from batch_transform.job_estimate import (
    CHARACTERS_PER_TOKEN,
    START_UP_IN_SECONDS,
    InputSize,
    JobEstimate,
    Throughput,
    estimate_job,
)
from batch_transform.left_out_lines import LeftOutLines
from batch_transform.naming import S3Uri
from batch_transform.prices import TABLE, HourlyPrice, hourly_price, written_out
from batch_transform.service_contract import violations
from batch_transform.throughput import expected_throughput

ROOT = Path(__file__).parents[2]
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dispute-classifier"
DIGEST = "sha256:" + "a" * 64
PAYLOAD_IN_MB = 6
MEGABYTE = 1 << 20
MEASURED = {
    "job_name": "job-0",
    "instance_type": "ml.g5.xlarge",
    "tokens": 1_000_000,
    "tokens_per_second": 12_345.0,
    "characters": 5_000_000,
}
"""What the summary of an earlier job says of its machine."""


class Answers:
    """A client that gives one answer to whatever it is asked, or raises it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.asked: dict[str, Any] = {}

    def __getattr__(self, _operation: str) -> Any:
        """Return an operation."""

        def operation(**request: Any) -> Any:
            self.asked = request
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

        return operation


def product(component: str, usage: str, dollars: str) -> str:
    """Return a product as the Price List writes it, in the form `aws_v1`."""
    attributes = {
        "component": component,
        "instanceName": "ml.g5.xlarge",
        "location": "US East (N. Virginia)",
        "locationType": "AWS Region",
        "operation": "RunInstance",
        "regionCode": "us-east-1",
        "servicecode": "AmazonSageMaker",
        "usagetype": f"USE1-{usage}:ml.g5.xlarge",
    }
    dimension = {
        "appliesTo": [],
        "beginRange": "0",
        "description": f"${dollars} per hour",
        "endRange": "Inf",
        "pricePerUnit": {"USD": dollars},
        "rateCode": f"{usage}.TERM.RATE",
        "unit": "Hrs",
    }
    term = {
        "effectiveDate": "2026-11-01T00:00:00Z",
        "offerTermCode": "TERM",
        "priceDimensions": {f"{usage}.TERM.RATE": dimension},
        "sku": usage,
        "termAttributes": {},
    }
    return json.dumps(
        {
            "product": {"attributes": attributes, "productFamily": "ML Instance", "sku": usage},
            "publicationDate": "2026-11-01T00:00:00Z",
            "serviceCode": "AmazonSageMaker",
            "terms": {"OnDemand": {f"{usage}.TERM": term}},
            "version": "20261101000000",
        }
    )


def estimate(size: InputSize, instance_count: int = 1) -> JobEstimate:
    """Estimate a job at 1,000 tokens a second, 4 characters a token, $3.60 an hour."""
    return estimate_job(
        size,
        throughput=Throughput(1000, 4, "as told"),
        price=HourlyPrice(3.6, "as told"),
        instance_type="ml.g5.xlarge",
        instance_count=instance_count,
        is_packed=True,
    )


def test_the_arithmetic_can_be_followed() -> None:
    """Four million characters are a million tokens: 1,000 seconds, and $3.60 an hour for all."""
    told = estimate(InputSize(10, 4_000_000, 20_000, 4_000_000, is_exact=True))
    assert told.tokens == 1_000_000
    assert told.minutes == pytest.approx((1000 + START_UP_IN_SECONDS) / 60, abs=0.05)
    assert told.dollars == pytest.approx((1000 + START_UP_IN_SECONDS) * 0.001)


@given(st.integers(1, 100), st.integers(1, 10**10))
def test_more_machines_are_never_slower_nor_cheaper(machines: int, characters: int) -> None:
    """The work divides; every machine's start is paid for."""
    size = InputSize(1, characters, 1, characters, is_exact=False)
    one, more = estimate(size), estimate(size, machines)
    assert more.minutes <= one.minutes
    assert more.dollars >= one.dollars - 0.0001


def sample(
    clients: AwsClients, found: InputFolder, left_out: LeftOutLines | None = None
) -> InputSize:
    """Sample what was listed, for requests as large as a job's."""
    return sample_input(clients.s3, found, PAYLOAD_IN_MB, left_out or LeftOutLines(clients.s3))


def test_a_small_input_is_counted(clients: AwsClients, documents: Any) -> None:
    """Where all can be read cheaply nothing is guessed; blank lines are no documents."""
    found = find_input(clients.s3, documents.put(a=b"one\n\ntwo\n", b=b"three"))
    size = sample(clients, found)
    assert (size.files, size.documents, size.is_exact) == (2, 3, True)


def test_a_large_input_is_sampled(clients: AwsClients, documents: Any) -> None:
    """Pieces of a file speak for the rest of it, wherever its lines change, and are said to."""
    short, long = b"y" * 99 + b"\n", b"z" * 999 + b"\n"
    body = short * 90_000 + long * 9_000
    found = find_input(clients.s3, documents.put(a=b"x\n", b=body))
    size = sample(clients, found)
    assert not size.is_exact
    assert size.documents == pytest.approx(99_001, rel=0.05)
    assert size.characters == pytest.approx(len(body), rel=0.02)


def test_a_huge_line_does_not_speak_for_small_files_beside_it(
    clients: AwsClients, documents: Any
) -> None:
    """Nor do its characters count where it cannot be sent, and will not be paid for."""
    files = {f"file{number:02d}": b"x" * 199 + b"\n" for number in range(60)}
    found = find_input(clients.s3, documents.put(huge=b"y" * 7 * MEGABYTE, **files))
    size = sample(clients, found)
    assert (size.documents, size.characters) == (60, 60 * 199)
    found = find_input(clients.s3, documents.put(huge=b"y" * 5 * MEGABYTE + b"\n"))
    size = sample(clients, found)
    assert (size.documents, size.characters) == (61, 60 * 199 + 5 * MEGABYTE)


def test_huge_lines_do_not_speak_for_small_ones_behind_them(
    clients: AwsClients, documents: Any
) -> None:
    """A file may begin with a record that is longer than all that is read of it."""
    body = b"y" * 5 * MEGABYTE + b"\n" + (b"z" * 99 + b"\n") * 150_000
    found = find_input(clients.s3, documents.put(a=body))
    size = sample(clients, found)
    assert size.documents == pytest.approx(150_001, rel=0.1)


def test_every_member_of_a_gzipped_file_is_counted(clients: AwsClients, documents: Any) -> None:
    """Files joined by `cat` are one file to gzip, and zeros after its end are none of it."""
    gzipped = gzip.compress(b"one\n") + gzip.compress(b"two\nthree\n") + bytes(512)
    documents.put_key("input/a.txt.gz", gzipped)
    size = sample(clients, find_input(clients.s3, documents.uri))
    assert (size.documents, size.characters, size.is_exact) == (3, 11, True)


def test_of_a_gzipped_file_no_more_is_unpacked_than_is_needed(
    clients: AwsClients, documents: Any
) -> None:
    """A few kilobytes may hold gigabytes; what was not unpacked is estimated, and said to be."""
    gzipped = gzip.compress((b"x" * 199 + b"\n") * 150_000)
    documents.put_key("input/a.txt.gz", gzipped)
    found = find_input(clients.s3, documents.uri)
    tracemalloc.start()
    size = sample(clients, found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not size.is_exact
    assert size.documents == pytest.approx(150_000, rel=0.05)
    assert peak < 10 << 20


def test_what_is_gzipped_by_its_name_alone_is_refused(clients: AwsClients, documents: Any) -> None:
    """In the words in which the reading itself would refuse it."""
    documents.put_key("input/a.txt.gz", b"plain\n")
    with pytest.raises(InvalidInput, match=r"a\.txt\.gz ends in \.gz but cannot be unpacked"):
        sample(clients, find_input(clients.s3, documents.uri))


def test_a_gzipped_file_that_was_cut_off_is_refused(clients: AwsClients, documents: Any) -> None:
    """Where all of it is read it is known before anything is packed, or only planned."""
    gzipped = gzip.compress(b"".join(b"case %d\n" % number for number in range(999)))
    documents.put_key("input/a.txt.gz", gzipped[:-200])
    with pytest.raises(InvalidInput, match=r"a\.txt\.gz ends in \.gz but cannot be unpacked"):
        sample(clients, find_input(clients.s3, documents.uri))


@pytest.mark.parametrize("is_large", [False, True])
def test_lines_that_are_no_documents_are_neither_counted_nor_lost(
    clients: AwsClients, documents: Any, is_large: bool
) -> None:
    """Nobody pays for them; of a large file, those in the pieces that are read are told."""
    body = b"caf\xe9\n\nfine words\n" * (1_000_000 if is_large else 1)
    documents.put_key("input/b.txt.gz", gzip.compress(b"\xff\nfine\n"))
    found = find_input(clients.s3, documents.put(a=body))
    left_out = LeftOutLines(clients.s3)
    size = sample(clients, found, left_out)
    assert size.is_exact is not is_large
    assert size.documents == pytest.approx(1_000_001 if is_large else 2, rel=0.01)
    assert size.characters == pytest.approx(10_000_004 if is_large else 14, rel=0.01)
    if not is_large:
        assert left_out.counts == {"InvalidEncoding": 2, "EmptyDocument": 1}
    assert left_out.counts.keys() == {"InvalidEncoding", "EmptyDocument"}


@pytest.mark.parametrize(
    "line", [b"x" * 99 + b"\n", b"caf\xc3\xa9" * 30 + b"\n", b"y" * 999_999 + b"\n"]
)
def test_lines_that_a_piece_cuts_in_two_are_not_taken_for_bad_ones(
    clients: AwsClients, documents: Any, line: bytes
) -> None:
    """A piece may begin within a letter, or just before a line's end."""
    body = line * (20 * MEGABYTE // len(line))
    left_out = LeftOutLines(clients.s3)
    sample(clients, find_input(clients.s3, documents.put(a=body)), left_out)
    assert left_out.counts == {}


def test_many_small_files_are_counted_by_the_file(clients: AwsClients, documents: Any) -> None:
    """A few long documents in the sample do not stand for fewer or more of them."""
    files = {f"file{number:02d}": b"x" * (number**2 + 1) + b"\n" for number in range(60)}
    found = find_input(clients.s3, documents.put(**files))
    size = sample(clients, found)
    assert (size.documents, size.is_exact) == (60, False)


def test_aws_is_asked_for_the_price_of_transforming() -> None:
    """Hosting and training on the same machine have prices of their own."""
    listed = [
        product("Hosting", "Host", "9.0000000000"),
        product("Training", "Train", "8.0000000000"),
        product("Batch Transform", "Tsform", "0.0000000000"),  # as in a free tier
        product("Batch Transform", "Tsform", "1.4100000000"),
    ]
    pricing = Answers({"PriceList": listed})
    price = hourly_price(pricing, "ml.g5.xlarge", "us-east-1")
    assert (price.dollars, price.basis) == (1.41, "from AWS's Price List")
    assert {"Type": "TERM_MATCH", "Field": "instanceName", "Value": "ml.g5.xlarge"} in (
        pricing.asked["Filters"]
    )
    assert list(violations("pricing", "GetProducts", pricing.asked)) == []


@pytest.mark.parametrize(
    "answer",
    [
        {"PriceList": []},
        {"PriceList": ['{"product": {}}']},
        {"PriceList": ["no JSON"]},
        EndpointConnectionError(endpoint_url="https://x"),
    ],
)
def test_without_an_answer_the_table_is_dated(answer: Any) -> None:
    """No price is no reason to stop; an old one bears its date, an unknown one is not invented."""
    price = hourly_price(Answers(answer), "ml.g5.xlarge", "eu-west-1")
    assert price.dollars == TABLE["ml.g5.xlarge"]
    assert "2026" in price.basis
    assert hourly_price(Answers(answer), "ml.r7i.48xlarge", "eu-west-1").cost(60) is None


def test_an_earlier_job_on_the_same_machine_tells_the_speed(
    clients: AwsClients, bucket: str
) -> None:
    """
    Its summary lies below the same output prefix; another machine's says nothing.

    How long tokens are a resumed job does not tell: it counts those of failed shards twice.
    """
    key = "output/job-0/summary.json"
    clients.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(MEASURED).encode())
    jobs = Answers({"TransformJobSummaries": [{"TransformJobName": "job-0"}]})

    account = SimpleNamespace(s3=clients.s3, sagemaker=jobs)
    output = S3Uri(bucket, "output/")
    measured = expected_throughput(account, output, "ml.g5.xlarge")
    assert measured == Throughput(12_345.0, 5.0, "as measured in job-0")
    assert expected_throughput(account, output, "ml.g6.xlarge").basis == "assumed"
    resumed = json.dumps(MEASURED | {"resumes": ["job-00"]}).encode()
    clients.s3.put_object(Bucket=bucket, Key=key, Body=resumed)
    measured = expected_throughput(account, output, "ml.g5.xlarge")
    assert measured == Throughput(12_345.0, CHARACTERS_PER_TOKEN, "as measured in job-0")


def test_a_job_of_a_few_documents_tells_no_speed(clients: AwsClients, bucket: str) -> None:
    """Eight seconds are warming up; the estimate of a large job must not rest on that."""
    summary = json.dumps(MEASURED | {"tokens": 100_000, "characters": 500_000}).encode()
    clients.s3.put_object(Bucket=bucket, Key="output/job-0/summary.json", Body=summary)
    jobs = Answers({"TransformJobSummaries": [{"TransformJobName": "job-0"}]})
    account = SimpleNamespace(s3=clients.s3, sagemaker=jobs)
    measured = expected_throughput(account, S3Uri(bucket, "output/"), "ml.g5.xlarge")
    assert measured.basis == "assumed"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff",
        b"[1]",
        b'{"instance_type": "ml.g5.xlarge", "tokens_per_second": 1, "chara',
        b'{"instance_type": "ml.g5.xlarge", "tokens_per_second": "fast", "characters": 5}',
        b'{"instance_type": "ml.g5.xlarge", "tokens_per_second": 1, "characters": 5, "tokens": []}',
    ],
)
def test_a_damaged_summary_is_named_and_passed_over(
    clients: AwsClients, bucket: str, damaged: bytes
) -> None:
    """It is another job's, and no reason to stop this one."""
    for name, body in (("job-1", damaged), ("job-0", json.dumps(MEASURED).encode())):
        key = f"output/{name}/summary.json"
        clients.s3.put_object(Bucket=bucket, Key=key, Body=body)
    jobs = [{"TransformJobName": name} for name in ("job-1", "job-0")]
    account = SimpleNamespace(s3=clients.s3, sagemaker=Answers({"TransformJobSummaries": jobs}))
    output = S3Uri(bucket, "output/")
    told = f", s3://{bucket}/output/job-1/summary.json is damaged and was passed over"
    measured = expected_throughput(account, output, "ml.g5.xlarge")
    assert measured == Throughput(12_345.0, 5.0, f"as measured in job-0{told}")
    clients.s3.delete_object(Bucket=bucket, Key="output/job-0/summary.json")
    assert expected_throughput(account, output, "ml.g5.xlarge").basis == f"assumed{told}"


def test_the_figures_for_a_cpu_refer_to_each_other() -> None:
    """What a plan assumes and what was measured stand in one table, each with its hours."""
    no_jobs = SimpleNamespace(s3=None, sagemaker=Answers({"TransformJobSummaries": []}))
    assumed = expected_throughput(no_jobs, S3Uri("b", "output/"), "ml.c7i.xlarge").tokens_per_second
    scale = (ROOT / "docs" / "scale.md").read_text()
    tokens = float(re.search(r"([\d.]+e11) tokens", scale)[1])
    rows = re.findall(r"^\| ([\d,]+) \| .* \| ([\d,]+) \|$", scale, re.MULTILINE)
    hours = {
        int(speed.replace(",", "")): int(instance_hours.replace(",", ""))
        for speed, instance_hours in rows
        if int(speed.replace(",", "")) >= assumed
    }
    assert hours == {
        speed: pytest.approx(tokens / speed / 3600, rel=0.01) for speed in (assumed, 1493, 3000)
    }
    assert "| ours, bf16 | 1,493 |" in (ROOT / "benchmarks" / "README.md").read_text()


@pytest.mark.parametrize(("tag", "asked"), [(":v1", "v1"), ("", "latest")])
def test_a_tag_is_pinned_to_what_it_means_now(tag: str, asked: str) -> None:
    """A tag that is moved while a job is prepared does not change the Model."""
    ecr = Answers({"imageDetails": [{"imageDigest": DIGEST}]})
    assert pin_digest(ecr, IMAGE + tag) == f"{IMAGE}@{DIGEST}"
    assert ecr.asked["imageIds"] == [{"imageTag": asked}]
    assert ecr.asked["registryId"] == "123456789012"


def test_an_image_stays_as_it_is_where_ecr_does_not_answer() -> None:
    """SageMaker pulls with its own permissions; one that is pinned needs no asking."""
    silent = Answers(EndpointConnectionError(endpoint_url="https://x"))
    assert pin_digest(silent, f"{IMAGE}:v1") == f"{IMAGE}:v1"
    assert pin_digest(silent, f"{IMAGE}@{DIGEST}") == f"{IMAGE}@{DIGEST}"


@pytest.mark.parametrize(
    ("dollars", "written"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (0.0031, "under $0.01"),
        (0.01, "$0.01"),
        (1234.5, "$1,234.50"),
    ],
)
def test_a_cost_is_written_as_people_write_it(dollars: float | None, written: str) -> None:
    """Eight seconds of a GPU cost something, if less than a cent."""
    assert written_out(dollars) == written
