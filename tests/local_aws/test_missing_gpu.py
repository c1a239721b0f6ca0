"""A job that insists on a GPU, on a machine that may have none."""

import pytest

from local_aws import missing_gpu

INSISTS = {"REQUIRE_GPU": "true"}
has_gpu = any(missing_gpu.DEVICE_FILES.glob("nvidia[0-9]*"))


@pytest.mark.skipif(has_gpu, reason="this machine has a GPU")
def test_a_gpu_job_runs_on_the_cpu_and_its_log_says_so(jobs):
    """The container is not told to insist, and nobody takes the CPU's speed for the GPU's."""
    jobs.put("in/1.txt", "environment")
    resources = {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1}

    done = jobs.run(Environment=INSISTS, TransformResources=resources)

    assert done["TransformJobStatus"] == "Completed", done.get("FailureReason")
    assert done["Environment"] == INSISTS
    (answer,) = jobs.answers("out/1.txt.out")
    assert answer["request"]["environment"]["REQUIRE_GPU"] == "false"
    logs = jobs.client("logs")
    group = {"logGroupName": "/aws/sagemaker/TransformJobs"}
    streams = logs.describe_log_streams(**group, logStreamNamePrefix=f"{jobs.bucket}/i-")
    events = [
        event["message"]
        for stream in streams["logStreams"]
        for event in logs.get_log_events(**group, logStreamName=stream["logStreamName"])["events"]
    ]
    assert any("ml.g5.xlarge has a GPU and this machine has none" in line for line in events)


def test_a_machine_with_a_gpu_lets_the_container_insist(tmp_path):
    """Only where the device file is missing is anything changed."""
    assert missing_gpu.is_missed(INSISTS, tmp_path)
    assert not missing_gpu.is_missed({}, tmp_path)
    (tmp_path / "nvidia0").touch()
    assert not missing_gpu.is_missed(INSISTS, tmp_path)
