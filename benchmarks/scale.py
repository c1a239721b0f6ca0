"""
How packing and consolidating scale, on a local AWS of this machine.

`python -m benchmarks.scale all` prints the table of benchmarks/README.md. Its measurements can
be had alone, with a count: many one-line files packed, as many lines of one file packed, the same
files sent one request each, many answers consolidated. One more is had alone only: packing files
that a stand-in for S3 makes up, so that a million need no upload. What is measured runs in a
process of its own, so that its memory and its processor time are not the local AWS's.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from batch_transform.aws import AwsClients
from batch_transform.consolidated_output import consolidate
from batch_transform.input_documents import find_input
from batch_transform.job_record import JobRecord
from batch_transform.naming import JobFolder, S3Uri, shard_name
from batch_transform.packed_input import IdentityDigest, PackedInput, Shard, pack
from batch_transform.results_wanted import ResultsWanted
from batch_transform.s3_objects import put_object
from batch_transform.shard_outputs import PackedJob
from batch_transform.transform_job import TransformJob
from benchmarks.made_up_files import MadeUpFiles, made_up_files
from local_aws import running

ROOT = Path(__file__).parents[1]
BUCKET = "scale"
FOLDER = JobFolder.of(S3Uri(BUCKET, "output/"), "job-1")
TEXT = (
    "The landlord has kept the whole deposit although the flat was handed over in March in good "
    "order, the protocol was signed by both sides and no damage of any kind was ever claimed."
)
LABELS = ("Contract Dispute", "Landlord and Tenant", "Debt and Banking", "Employment")
RECORDS_A_SHARD = 50_000
CONTAINER = ROOT / "custom_container"


def main() -> None:
    """Measure one thing, or all that benchmarks/README.md tells, each on a fresh local AWS."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measurement", choices=["all", *MEASUREMENTS, *PARTS])
    parser.add_argument("count", type=int, nargs="?", help="how many records; needed but for all")
    parser.add_argument("--share", type=float, default=1, help="of the sizes that all measures")
    arguments = parser.parse_args()
    if arguments.measurement == "all":
        measure_all(arguments.share)
    elif arguments.count is None:
        parser.error(f"{arguments.measurement} needs a count")
    elif arguments.measurement in PARTS:
        print(json.dumps(measured(PARTS[arguments.measurement], arguments.count)))
    else:
        print(json.dumps(measure(arguments.measurement, arguments.count)))


def measure(measurement: str, count: int) -> dict[str, Any]:
    """Run one measurement on a local AWS of its own, or a stand-in for S3; return what it took."""
    if measurement == "made-up":
        with made_up_files(count, TEXT) as files:
            return measure_made_up(files, count)
    with running(CONTAINER) as local_aws:
        return MEASUREMENTS[measurement](local_aws, count)


def measure_all(share: float) -> None:
    """Print the table, a row as soon as it is known, and then the ratios that matter."""
    print("| what | records | wall, s | processor, s | records a second | peak memory, MB |")
    print("|---|---|---|---|---|---|", flush=True)
    rows: dict[str, list[dict[str, Any]]] = {}
    for measurement, count in SIZES:
        row = measure(measurement, round(count * share))
        rows.setdefault(measurement, []).append(row)
        print(as_table_row(NAMES[measurement], row), flush=True)
    print(f"\n{conclusions(rows)}")


def as_table_row(name: str, row: dict[str, Any]) -> str:
    """Return one measurement as a row of a Markdown table."""
    cells = [name, f"{row['records']:,}", f"{row['seconds']:.2f}"]
    cells += [str(row.get("cpu_seconds", "")), f"{row['records_per_second']:,}"]
    return f"| {' | '.join([*cells, str(row.get('peak_memory_in_mb', ''))])} |"


def conclusions(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Return what the rows say of growth, and of packing against one request a file."""
    lines = []
    for measurement in ("pack", "lines", "consolidate"):
        small, large = rows[measurement]
        growth = [large[key] / small[key] for key in ("records", "seconds", "cpu_seconds")]
        told = "{:.1f} x the records, {:.2f} x the time, {:.2f} x the processor time"
        lines.append(f"- {NAMES[measurement]}: {told.format(*growth)}")
    small, large = rows["requests"][0], rows["requests"][-1]
    a_request = (large["seconds"] - small["seconds"]) / (large["records"] - small["records"])
    a_packed_file = rows["pack"][-1]["seconds"] / rows["pack"][-1]["records"]
    lines.append(
        f"- a request takes {a_request * 1e3:.2f} ms (the slope between runs), a packed file "
        f"{a_packed_file * 1e3:.2f} ms: packing is {a_request / a_packed_file:.1f} times as fast"
    )
    return "\n".join(lines)


def measured(part: Callable[[Any, int], int], count: int) -> dict[str, Any]:
    """Run one part in this process and return what it took, the start of Python left out."""
    clients = AwsClients("us-east-1")
    started, used = time.perf_counter(), time.process_time()
    done = part(clients.s3, count)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    return {
        "records": done,
        "seconds": round(seconds, 2),
        "records_per_second": round(done / seconds),
        "cpu_seconds": round(cpu_seconds, 2),
        "records_per_cpu_second": round(done / cpu_seconds),
        "peak_memory_in_mb": peak_memory_in_mb(),
    }


def peak_memory_in_mb() -> int:
    """Return the most this process has held; getrusage would tell of the one it sprang from."""
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    return int(kilobytes) // 1024


def run_part(local_aws: Any, part: str, count: int) -> dict[str, Any]:
    """Run one part in a process of its own and return what it says of itself."""
    command = [sys.executable, "-m", "benchmarks.scale", part, str(count)]
    environment = {"PATH": "", **local_aws.environment()}
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def measure_packing(local_aws: Any, count: int) -> dict[str, Any]:
    """Pack *count* files of one line each, listing included."""
    upload_files(bucket_of(local_aws), count)
    return run_part(local_aws, "pack-part", count)


def measure_made_up(files: MadeUpFiles, count: int) -> dict[str, Any]:
    """Pack *count* files that the stand-in makes up; check that each was packed once."""
    row = run_part(files, "pack-part", count)
    assert files.times_packed == b"\1" * count  # noqa: S101
    return row


def measure_lines(local_aws: Any, count: int) -> dict[str, Any]:
    """Pack one file of *count* lines."""
    body = b"".join(f"{TEXT} Case {number}.\n".encode() for number in range(count))
    bucket_of(local_aws).put_object(Bucket=BUCKET, Key="input/all.txt", Body=body)
    return run_part(local_aws, "pack-part", count)


def measure_requests(local_aws: Any, count: int) -> dict[str, Any]:
    """Run *count* of the same files as a standard job: a request and an output for each file."""
    s3 = bucket_of(local_aws)
    upload_files(s3, count)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=model_artifact())
    sagemaker = local_aws.client("sagemaker")
    environment = local_aws.environment() | {"PATH": ""}
    role = "arn:aws:iam::000000000000:role/transform"
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/dispute-classifier:latest"
    command = [
        *(sys.executable, "setup_batch_transform.py", "--s3-bucket", BUCKET),
        *("--role-arn", role, "--container-image", image, "--job-name", "alone"),
        *("--model-path", f"s3://{BUCKET}/model.tar.gz"),
    ]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)  # noqa: S603
    job = sagemaker.describe_transform_job(TransformJobName="alone")
    seconds = (job["TransformEndTime"] - job["TransformStartTime"]).total_seconds()
    return {"records": count, "seconds": seconds, "records_per_second": round(count / seconds)}


def measure_consolidation(local_aws: Any, count: int) -> dict[str, Any]:
    """Consolidate *count* answers, verification included."""
    s3 = bucket_of(local_aws)
    shards = [answered_shard(s3, index, part) for index, part in enumerate(parts_of(count))]
    packed = PackedInput(shards=shards, files=1, documents=count, characters=0, left_out={})
    record = JobRecord("job-1", "optimized", "model-1", "s3://scale/input/", "", packed)
    put_object(s3, FOLDER.record, record.to_json(), "application/json")
    return run_part(local_aws, "consolidate-part", count)


def pack_part(s3: Any, count: int) -> int:
    """List and pack; check that every file was taken."""
    found = find_input(s3, S3Uri(BUCKET, "input/"))
    packed = pack(
        s3, found, FOLDER, instance_count=1, max_payload_in_mb=6, on_file=lambda _file: None
    )
    assert packed.documents == count  # noqa: S101
    return packed.documents


def consolidate_part(s3: Any, count: int) -> int:
    """Verify and consolidate; check that every record was answered."""
    body = s3.get_object(Bucket=BUCKET, Key=FOLDER.record.key)["Body"].read()
    job = TransformJob(
        name="job-1",
        status="Completed",
        failure_reason=None,
        model_name="model-1",
        input_uri=FOLDER.shards,
        output_uri=FOLDER.shard_outputs,
        instance_type="ml.g5.xlarge",
        instance_count=1,
        created_at=datetime.now(UTC),
        started_at=None,
        ended_at=None,
    )
    packed_job = PackedJob(FOLDER, JobRecord.from_json(body))
    summary = consolidate(s3, packed_job, job, ResultsWanted())
    assert summary["documents"] == count  # noqa: S101
    return count


def bucket_of(local_aws: Any) -> Any:
    """Return an S3 client of a local AWS that has the bucket."""
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    s3 = session.client("s3", endpoint_url=local_aws.endpoint_url)
    s3.create_bucket(Bucket=BUCKET)
    return s3


def upload_files(s3: Any, count: int) -> None:
    """Put *count* files of one line, some 200 bytes, under `input/`."""

    def upload(number: int) -> None:
        body = f"{TEXT} Case {number}.\n".encode()
        s3.put_object(Bucket=BUCKET, Key=f"input/{number:07d}.txt", Body=body)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, range(count)))


def model_artifact() -> bytes:
    """Return the demonstration model, packed by the real script."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tar.gz"
        command = [sys.executable, "package_model.py", "--output-path", str(path)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603
        return path.read_bytes()


def parts_of(count: int) -> Iterator[range]:
    """Divide so many records among shards."""
    for start in range(0, count, RECORDS_A_SHARD):
        yield range(start, min(start + RECORDS_A_SHARD, count))


def answered_shard(s3: Any, index: int, numbers: range) -> Shard:
    """Write the output of a shard as the container and AssembleWith would, and its record."""
    identities, lines = IdentityDigest(), []
    for number in numbers:
        source = f"{number:07d}.txt"
        identities.add(source, 1)
        best = 0.35 + (number * 7919 % 6000) / 10_000
        top = [
            {"class": LABELS[(number + place) % 4], "score": round(score, 4)}
            for place, score in enumerate((best, (1 - best) * 0.7, (1 - best) * 0.2))
        ]
        predictions = {"predicted_class": top[0]["class"], "top_predictions": top}
        lines.append(json.dumps({"source": source, "line": 1, "predictions": predictions}))
    body = "".join(f"{line}\n" for line in lines).encode()
    put_object(s3, FOLDER.shard_outputs.child(f"{shard_name(index)}.out"), body, "text/plain")
    first, last = f"{numbers[0]:07d}.txt line 1", f"{numbers[-1]:07d}.txt line 1"
    name = shard_name(index)
    return Shard(name, len(numbers), len(body), identities.hexdigest(), first, last)


MEASUREMENTS = {
    "pack": measure_packing,
    "made-up": measure_made_up,
    "lines": measure_lines,
    "requests": measure_requests,
    "consolidate": measure_consolidation,
}
NAMES = {
    "pack": "pack one-line files",
    "made-up": "pack one-line files, made up by a stand-in for S3",
    "lines": "pack lines of one file",
    "requests": "one request a file (standard job)",
    "consolidate": "consolidate, verify, report",
}
SIZES = (
    *(("pack", 10_000), ("pack", 100_000)),
    *(("lines", 500_000), ("lines", 5_000_000)),
    *(("requests", 1_000), ("requests", 2_000), ("requests", 4_000)),
    *(("consolidate", 500_000), ("consolidate", 5_000_000)),
)
PARTS = {"pack-part": pack_part, "consolidate-part": consolidate_part}


if __name__ == "__main__":
    main()
