"""How far a job is and how long it still takes, told from what lies in S3."""

from datetime import UTC, datetime, timedelta

from batch_transform.job_progress import JobProgress
from batch_transform.naming import S3Uri
from batch_transform.transform_job import TransformJob

STARTED = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NOW = STARTED + timedelta(seconds=100)
JOB = TransformJob(
    name="job-1",
    status="InProgress",
    failure_reason=None,
    model_name="model-1",
    input_uri=S3Uri("b", "in/"),
    output_uri=S3Uri("b", "out/job-1/output/"),
    instance_type="ml.g5.xlarge",
    instance_count=1,
    created_at=STARTED - timedelta(minutes=3),
    started_at=STARTED,
    ended_at=None,
)


def test_speed_and_time_left_follow_from_the_finished_shards() -> None:
    """A quarter took 100 seconds, so the rest takes 300: from the first look on, however late."""
    look = JobProgress(JOB, outputs=2, outputs_expected=8, documents=500)
    assert look.documents_per_second(NOW) == 5
    assert look.seconds_left(NOW) == 300


def test_before_the_first_shard_nothing_is_promised() -> None:
    """Nor is there anything left where nobody knows how much there was."""
    assert JobProgress(JOB, 0, 8, 0).seconds_left(NOW) is None
    assert JobProgress(JOB, 0, 8, 0).documents_per_second(NOW) is None
    assert JobProgress(JOB, 3, 0).seconds_left(NOW) == 0
