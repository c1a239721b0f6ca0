"""Wrong calls: one clear sentence, exit 1 or 2, nothing left behind and nothing paid for."""

import re
from typing import Any

import pytest

BOTH = pytest.mark.parametrize(
    "script", ["setup_batch_transform.py", "setup_optimized_batch_transform.py"]
)


EMPTY_OF_A_JOB = ("resume", "kms-key-id", "job-name", "s3-bucket", "s3-input-prefix")
EMPTY_OF_A_LOOK = ("job-name", "clean", "redrive")


def refused(operator: Any, script: str, *arguments: str, code: int = 1, **variables: Any) -> str:
    """Run a script that must fail; return what it said, having seen that it left nothing."""
    before = operator.object_keys()
    done = operator.run(script, *arguments, **variables)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert operator.object_keys() == before
    return done.stderr


def jobs_named(operator: Any, name: str) -> list:
    """Return the jobs whose name holds *name*."""
    found = operator.aws("sagemaker").list_transform_jobs(NameContains=name)
    return found["TransformJobSummaries"]


@BOTH
@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("--role-arn", "admin", "--role-arn: 'admin'"),
        ("--container-image", "python:3.11", "is not an image in Amazon ECR"),
        ("--instance-type", "ml.g5.xlrge", "ml.g5.xlarge"),
        ("--instance-count", "0", "--instance-count"),
        ("--job-name", "my_job", "--job-name: 'my_job'"),
        ("--model-path", "other.tar.gz", "package_model.py"),
        ("--s3-input-prefix", "output/in/", "overlap"),
        ("--s3-input-prefix", "https://example.com/", "not an S3 location"),
        ("--region", "eu-west-1", "eu-west-1"),
        ("--s3-bucket", "Bad_Bucket!", "'S3_BUCKET_NAME'): 'Bad_Bucket!' is no bucket's name"),
        ("--s3-output-prefix", "s3://b!/out/", "'S3_OUTPUT_PATH'): 'b!' is no bucket's name"),
        ("--tag", "AWS:x=1", "--tag: 'AWS:x' begins with aws:"),
        ("--tag", "a!=1", "--tag: 'a!' is refused by SageMaker"),
        ("--tag", "a", "'--tag': 'a' is not KEY=VALUE"),
        ("--environment", "foo", "'--environment': 'foo' is not NAME=VALUE"),
        ("--environment", "TOP_K=abc", "--environment: TOP_K is 'abc'"),
    ],
)
def test_a_wrong_value_is_a_wrong_call(
    ready_operator: Any, script: str, flag: str, value: str, told: str
) -> None:
    """Exit 2, and the flag or the value is named."""
    assert told in refused(ready_operator, script, flag, value, code=2)


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("setup_optimized_batch_transform.py", ("--dry-run",)),
        ("setup_optimized_batch_transform.py", ()),
        ("setup_optimized_batch_transform.py", ("--resume", "x")),
        ("check_batch_transform_status.py", ("--job-name", "x", "--watch")),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused(
    ready_operator: Any, script: str, arguments: tuple
) -> None:
    """Before the results are paid for; root may write anywhere but there."""
    ready_operator.upload(a=b"x\n")
    typed = (*arguments, "--download-to", "/proc/results")
    told = refused(ready_operator, script, *typed, code=2)
    assert "--download-to: nothing can be written to /proc/results" in told


def test_a_folder_is_not_made_before_there_are_results(ready_operator: Any) -> None:
    """That it can be is found out by trying, and nothing of that is left."""
    ready_operator.upload(a=b"x\n")
    dry_run = ("--dry-run", "--download-to", "new/results")
    done = ready_operator.run("setup_optimized_batch_transform.py", *dry_run)
    assert done.returncode == 0, done.stderr
    assert not (ready_operator.cwd / "new").exists()


@BOTH
@pytest.mark.parametrize("flag", ["--tag", "--environment"])
def test_a_name_with_two_values_is_refused(ready_operator: Any, script: str, flag: str) -> None:
    """Nobody can tell which of them was meant."""
    told = refused(ready_operator, script, flag, "A=1", flag, "A=2", code=2)
    assert f"'{flag}': 'A' is given more than once" in told


@pytest.mark.parametrize(
    ("script", "flag"),
    [
        ("check_batch_transform_status.py", "--job-name"),
        ("check_batch_transform_status.py", "--clean"),
        ("setup_optimized_batch_transform.py", "--resume"),
    ],
)
@pytest.mark.parametrize("name", ["a_b c", "-a", "a" * 64])
def test_a_job_that_can_have_no_such_name_is_no_job(
    operator: Any, script: str, flag: str, name: str
) -> None:
    """Told at once, and in words, not as AWS's pattern."""
    told = refused(operator, script, flag, name, code=2)
    assert f"'{flag}': '{name}' is no job's name" in told
    assert "letters and digits, hyphens between them, 63 at most" in told


@BOTH
def test_a_missing_setting_names_its_variable(ready_operator: Any, script: str) -> None:
    """The operator learns both ways to give it."""
    told = refused(ready_operator, script, code=2, S3_BUCKET_NAME=None)
    assert "--s3-bucket" in told
    assert "S3_BUCKET_NAME" in told


@BOTH
def test_an_empty_prefix_is_refused(ready_operator: Any, script: str) -> None:
    """There is nothing to classify."""
    assert "there are no documents under s3://" in refused(ready_operator, script)


def test_a_margin_that_is_no_number_is_refused(ready_operator: Any) -> None:
    """JSON has no word for it, and no document lies below or above it."""
    script = "setup_optimized_batch_transform.py"
    told = refused(ready_operator, script, "--review-below", "nan", code=2)
    assert "nan is not in the range 0<=x<=1" in told


@BOTH
def test_a_bucket_that_is_not_there_is_named(ready_operator: Any, script: str) -> None:
    """The name is quoted, with what to do."""
    told = refused(ready_operator, script, "--s3-bucket", "no-such-bucket-here")
    assert "the bucket no-such-bucket-here does not exist" in told


@BOTH
def test_a_bucket_in_another_region_is_refused(ready_operator: Any, script: str) -> None:
    """Before anything is packed: SageMaker reads and writes in its own region only."""
    name = f"far-{ready_operator.bucket}"
    there = {"LocationConstraint": "eu-west-1"}
    ready_operator.aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration=there)
    told = refused(ready_operator, script, "--s3-output-prefix", f"s3://{name}/output/")
    assert f"the bucket {name} lies in eu-west-1" in told


@BOTH
def test_missing_credentials_are_explained(ready_operator: Any, script: str) -> None:
    """boto3's own chain found nothing; the sentence says where keys can be put."""
    ready_operator.upload(a=b"x\n")
    told = refused(ready_operator, script, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    assert "no AWS credentials" in told
    assert ".env" in told


def test_a_dead_network_is_explained(ready_operator: Any) -> None:
    """Nothing listens there; the sentence says what to check."""
    script = "check_batch_transform_status.py"
    told = refused(ready_operator, script, "--list-jobs", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert "cannot be reached" in told


@BOTH
@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_a_strict_run_refuses_lines_that_are_not_utf8(
    ready_operator: Any, script: str, dry_run: tuple
) -> None:
    """File and line; nothing packed stays in the bucket and no job is started."""
    ready_operator.upload(good=b"fine\n", bad=b"fine\ncaf\xe9\n")
    told = refused(ready_operator, script, "--strict", "--job-name", "never-started", *dry_run)
    assert "bad.txt line 2" in told
    assert jobs_named(ready_operator, "never-started") == []


@BOTH
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"\n \n", "hold blank lines only"),
        (b"\xff\n\n", "a.txt line 1: byte 1 of the line is not UTF-8"),
        ("Sie schulden mir 500 €.\n".encode("utf-16"), "the file is UTF-16: save it as UTF-8"),
    ],
)
def test_a_dry_run_refuses_an_input_without_documents(
    ready_operator: Any, script: str, body: bytes, told: str
) -> None:
    """As the run itself would; a plan of no documents for some cents is none."""
    ready_operator.upload(a=body)
    assert told in refused(ready_operator, script, "--dry-run")


def test_a_large_file_without_documents_is_refused(ready_operator: Any) -> None:
    """Files that are large enough to be read as they lie are paid for no sooner than others."""
    ready_operator.upload(big=(b"\xff" * 9_999 + b"\n") * 3_500)
    told = refused(ready_operator, "setup_optimized_batch_transform.py", "--no-wait")
    assert "cannot be sent: 3,500 lines of the input" in told
    assert "big.txt line 1: byte 1 of the line is not UTF-8" in told


def test_what_a_plan_has_not_read_is_said_to_be_checked_later(ready_operator: Any) -> None:
    """Of many files a plan reads some: --strict is checked before the job, but not yet."""
    ready_operator.upload(**{f"file{number}": b"fine\n\n" for number in range(30)})
    dry_run = ("--strict", "--dry-run")
    done = ready_operator.run("setup_optimized_batch_transform.py", *dry_run)
    assert done.returncode == 0, done.stderr
    assert "no documents, in what was read for this plan: 24 lines EmptyDocument" in done.stderr
    assert "--strict: only a part of the input was read for this plan" in done.stderr


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("case.txt.gz", "1 gzipped file under s3://"),
        ("a" * 1018, f"the outputs of 1 file, {'a' * 1018} first, would have keys under s3://"),
    ],
)
def test_a_file_that_a_standard_job_cannot_answer_is_refused(
    ready_operator: Any, file: str, told: str
) -> None:
    """It reads files as they are, and names each output by its file: no name may be too long."""
    ready_operator.aws("s3").put_object(
        Bucket=ready_operator.bucket, Key=f"input/{file}", Body=b"x\n"
    )
    assert told in refused(ready_operator, "setup_batch_transform.py")


@BOTH
def test_a_file_that_is_no_artifact_is_refused(operator: Any, script: str) -> None:
    """Half an upload or another file is not sent to S3."""
    operator.upload(a=b"x\n")
    (operator.cwd / "model.tar.gz").write_bytes(b"\x1f\x8b half")
    assert "is not a model artifact" in refused(operator, script)


def test_a_job_name_that_is_taken_is_refused(ready_operator: Any) -> None:
    """Names are unique for ever; the operator is shown how to look at the other job."""
    ready_operator.upload(a=b"x\n")
    name = f"taken-{ready_operator.bucket}"
    started = ready_operator.run("setup_batch_transform.py", "--job-name", name, "--no-wait")
    assert started.returncode == 0, started.stderr
    told = refused(ready_operator, "setup_optimized_batch_transform.py", "--job-name", name)
    assert f"the job name '{name}' is taken" in told
    assert f"check_batch_transform_status.py --job-name {name}" in told


def test_a_model_folder_that_is_half_is_refused(operator: Any) -> None:
    """Every missing file is named, and no archive is written."""
    (operator.cwd / "half").mkdir()
    told = refused(operator, "package_model.py", "--model-dir", "half")
    assert "lacks config.json" in told
    assert "lacks model.safetensors" in told
    assert list(operator.cwd.glob("*.tar.gz*")) == []


def test_a_job_that_is_not_there_is_named(operator: Any) -> None:
    """The operator is pointed to the list and to the region."""
    told = refused(operator, "check_batch_transform_status.py", "--job-name", "nowhere")
    assert "no transform job 'nowhere'" in told


@pytest.mark.parametrize(
    ("script", "flag"),
    [
        *(("setup_optimized_batch_transform.py", f"--{name}") for name in EMPTY_OF_A_JOB),
        *(("check_batch_transform_status.py", f"--{name}") for name in EMPTY_OF_A_LOOK),
    ],
)
def test_an_empty_value_is_not_taken_for_none(operator: Any, script: str, flag: str) -> None:
    """A shell variable that is not set would start a whole job, or one without the key."""
    told = refused(operator, script, flag, "", code=2)
    assert re.search(f"'{flag}'.*: it is empty", told)


def test_a_resumed_job_cannot_have_another_model_or_other_documents(operator: Any) -> None:
    """What is typed is not ignored; what `.env` holds for other jobs stands for those."""
    typed = ("--strict", "--s3-input-prefix", "other/", "--environment", "TOP_K=5")
    told = refused(operator, "setup_optimized_batch_transform.py", "--resume", "x", *typed, code=2)
    assert "--s3-input-prefix, --strict, --environment: --resume takes Model" in told


def test_a_resumed_job_is_asked_for_neither_image_nor_role(operator: Any) -> None:
    """Its Model holds both, so that any machine can go on with it."""
    unset = {"CONTAINER_IMAGE": None, "SAGEMAKER_ROLE_ARN": None}
    told = refused(operator, "setup_optimized_batch_transform.py", "--resume", "x", **unset)
    assert "there is no" in told
    assert "/x/job.json" in told
    told = refused(operator, "setup_optimized_batch_transform.py", code=2, **unset)
    assert "Missing option '--container-image'" in told


def test_what_is_wanted_of_results_is_refused_where_none_are_made(operator: Any) -> None:
    """It would be ignored: no copy, another form, shards deleted later."""
    typed = ("--output-format", "csv", "--keep-shards", "--download-to", "results")
    told = refused(operator, "check_batch_transform_status.py", "--job-name", "x", *typed, code=2)
    assert "--output-format, --keep-shards, --download-to: " in told
    assert "--watch" in told


def test_no_copy_is_promised_where_nobody_waits_for_one(operator: Any) -> None:
    """What the results are to be is kept with the job, but not the folder of this machine."""
    typed = ("--no-wait", "--output-format", "csv", "--download-to", "results")
    told = refused(operator, "setup_optimized_batch_transform.py", *typed, code=2)
    assert "Error: --download-to: " in told
    assert "--watch" in told


@BOTH
def test_logs_are_refused_where_nobody_waits_for_them(operator: Any, script: str) -> None:
    """They would be ignored, in either kind of job."""
    told = refused(operator, script, "--no-wait", "--logs", code=2)
    assert "--logs: --no-wait waits for no end" in told


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [(("--list-jobs", "--logs"), "--logs"), (("--queue", "--max-results", "3"), "--max-results")],
)
def test_what_a_task_has_no_use_for_is_refused(operator: Any, arguments: tuple, flag: str) -> None:
    """It would be ignored."""
    told = refused(
        operator, "check_batch_transform_status.py", *arguments, "--queue-url", "q", code=2
    )
    assert f"{flag}: " in told


@pytest.mark.parametrize("arguments", [(), ("--list-jobs", "--job-name", "x")])
def test_the_status_script_wants_one_task(operator: Any, arguments: tuple) -> None:
    """Exactly one of those it can do."""
    told = refused(operator, "check_batch_transform_status.py", *arguments, code=2)
    assert "--list-jobs, --job-name NAME" in told
