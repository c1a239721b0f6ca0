"""A job on the local AWS does what SageMaker does with one."""

import json
import os

import pytest

MEGABYTE = 2**20


def source(bucket, s3_data_type, key):
    return {
        "DataSource": {
            "S3DataSource": {"S3DataType": s3_data_type, "S3Uri": f"s3://{bucket}/{key}"}
        },
        "SplitType": "Line",
    }


def test_each_object_has_one_output(jobs):
    """
    A completed job leaves one .out object for each input object, below the same relative key.
    """
    jobs.put("in/a.txt", "say one\nsay two\n")
    jobs.put("in/deep/b.txt", "say three")

    done = jobs.run()

    assert done["TransformJobStatus"] == "Completed"
    assert done["CreationTime"] <= done["TransformStartTime"] <= done["TransformEndTime"]
    assert jobs.outputs() == ["out/a.txt.out", "out/deep/b.txt.out"]
    records = [answer["record"] for answer in jobs.answers("out/a.txt.out")]
    assert records == ["say one", "say two"]
    assert jobs.get("out/deep/b.txt.out").endswith("}\n")


def test_failed_object_has_no_output_and_harms_no_other(jobs):
    """
    An object whose request fails is named in the reason, has no output and leaves the others.
    """
    jobs.put("in/1.txt", "say one")
    jobs.put("in/2.txt", "say two\nfail 400\nsay three")
    jobs.put("in/3.txt", "say four")

    done = jobs.run(BatchStrategy="SingleRecord")

    assert done["TransformJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("ClientError: See job logs for more information")
    assert f"{jobs.bucket}/in/2.txt: ClientError: 400" in done["FailureReason"]
    assert jobs.outputs() == ["out/1.txt.out", "out/3.txt.out"]


def test_server_error_is_the_algorithms(jobs):
    """
    A 5xx that stays is the algorithm's error, in SageMaker's words.
    """
    jobs.put("in/1.txt", "fail 500")

    done = jobs.run()

    assert done["FailureReason"].startswith("AlgorithmError: See job logs")
    assert "Bad HTTP status received from algorithm: 500" in done["FailureReason"]


@pytest.mark.parametrize(("retries", "status"), [(0, "Failed"), (1, "Completed")])
def test_server_error_is_tried_again(jobs, retries, status):
    """
    A 5xx that passes is outlived by as many retries as the job allows.
    """
    jobs.put("in/1.txt", "fail-once 503")

    done = jobs.run(ModelClientConfig={"InvocationsMaxRetries": retries})

    assert done["TransformJobStatus"] == status


def test_request_timeout(jobs):
    """
    A request that outlives InvocationsTimeoutInSeconds is no answer.
    """
    jobs.put("in/1.txt", "sleep 20")
    client_config = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}

    done = jobs.run(ModelClientConfig=client_config)

    assert "Unable to get response from algorithm" in done["FailureReason"]


def test_single_record_sends_one_line_a_request(jobs):
    """
    SingleRecord makes one request of each line, a blank one included; each keeps its bytes.
    """
    jobs.put("in/1.txt", "say one\n\nsay drei \N{GRINNING FACE}\r\nsay four")

    jobs.run(BatchStrategy="SingleRecord")

    answers = jobs.answers("out/1.txt.out")
    assert [a["record"] for a in answers] == [
        "say one",
        "",
        "say drei \N{GRINNING FACE}\r",
        "say four",
    ]
    assert [a["request"]["bytes"] for a in answers] == [8, 1, 15, 8]
    assert len({a["request"]["number"] for a in answers}) == 4


@pytest.mark.parametrize(("one_more", "requests"), [("", 1), ("x", 2)])
def test_multi_record_fills_the_payload_to_the_byte(jobs, one_more, requests):
    """
    Two lines of exactly MaxPayloadInMB go together; one byte more parts them.
    """
    half = MEGABYTE // 2
    jobs.put(
        "in/1.txt", f"{'a' * (half - 1)}\n{'b' * (half - 1)}\n{one_more}".replace("\nx", "x\n")
    )

    jobs.run(BatchStrategy="MultiRecord", MaxPayloadInMB=1)

    numbers = {a["request"]["number"] for a in jobs.answers("out/1.txt.out")}
    assert len(numbers) == requests


@pytest.mark.parametrize(("size", "status"), [(MEGABYTE, "Completed"), (MEGABYTE + 1, "Failed")])
@pytest.mark.parametrize("split_type", ["Line", "None"])
def test_record_of_the_largest_size(jobs, size, status, split_type):
    """
    A record of MaxPayloadInMB is sent; one of a byte more fails its object, others stay.
    """
    jobs.put("in/1.txt", "a" * size)
    jobs.put("in/2.txt", "say two")
    transform_input = jobs.request()["TransformInput"] | {"SplitType": split_type}

    done = jobs.run(MaxPayloadInMB=1, TransformInput=transform_input)

    assert done["TransformJobStatus"] == status
    assert ("out/1.txt.out" in jobs.outputs()) is (status == "Completed")
    assert "out/2.txt.out" in jobs.outputs()


def test_requests_are_in_flight_together(jobs):
    """
    MaxConcurrentTransforms requests meet in the server, over the borders of objects, and no more.
    """
    for number in range(6):
        jobs.put(f"in/{number}.txt", "meet 3")

    done = jobs.run(MaxConcurrentTransforms=3, BatchStrategy="SingleRecord")

    assert done["TransformJobStatus"] == "Completed"
    most = [jobs.answers(key)[0]["request"]["most_in_flight"] for key in jobs.outputs()]
    assert max(most) == 3


def test_container_answers_what_the_job_leaves_open(jobs):
    """
    Concurrency, strategy and payload come from /execution-parameters where the job is silent.
    """
    asked = {
        "MaxConcurrentTransforms": 2,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 1,
    }
    jobs.create_model({"execution_parameters.json": json.dumps(asked)})
    jobs.put("in/1.txt", "meet 2\nmeet 2\n")

    jobs.run(MaxConcurrentTransforms=0)

    requests = [answer["request"] for answer in jobs.answers("out/1.txt.out")]
    assert [request["bytes"] for request in requests] == [7, 7]
    assert requests[-1]["most_in_flight"] == 2


def test_server_sees_what_sagemakers_container_sees(jobs):
    """
    The environment is the image's, the model's and the job's; limits only where the job set them.
    """
    jobs.put("in/1.txt", "environment")

    jobs.run(Environment={"TOP_K": "5"}, BatchStrategy="MultiRecord")

    (answer,) = jobs.answers("out/1.txt.out")
    environment = answer["request"]["environment"]
    assert environment["TOP_K"] == "5"
    assert environment["GREETING_OF_THE_DAY"] == "good morning"
    assert environment["SAGEMAKER_BATCH"] == "true"
    assert environment["SAGEMAKER_BATCH_STRATEGY"] == "MULTI_RECORD"
    for name in ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "AWS_ACCESS_KEY_ID", "LEFT_BEHIND", "PYTHONPATH"):
        assert name not in environment
    headers = answer["request"]["headers"]
    assert headers["User-Agent"] == "Go-http-client/1.1"
    assert headers["Content-Type"] == "text/plain"
    assert headers["Accept"] == "application/jsonlines"


def test_stop_is_seen_inside_an_object(jobs):
    """
    A job stopped while a long request runs is Stopped long before that request would end.
    """
    jobs.put("in/1.txt", "say one")
    jobs.put("in/2.txt", "sleep 600")
    name = jobs.start()

    jobs.client("sagemaker").stop_transform_job(TransformJobName=name)

    assert jobs.wait()["TransformJobStatus"] == "Stopped"
    assert "out/2.txt.out" not in jobs.outputs()


def test_server_that_dies_while_loading(jobs):
    """
    A server that exits before it answers /ping fails the job at once, by its last log line.
    """
    jobs.create_model({"cannot_be_loaded": ""})
    jobs.put("in/1.txt", "say one")

    done = jobs.run()

    reason = "AlgorithmError: OSError: the model cannot be loaded: it is broken, exit code: 1"
    assert done["FailureReason"] == reason


def test_server_that_dies_within_an_object(jobs):
    """
    A server that dies fails the job cleanly; objects stored before stay.
    """
    jobs.put("in/1.txt", "say one")
    jobs.put("in/2.txt", "die")
    jobs.put("in/3.txt", "say three")

    done = jobs.run(MaxConcurrentTransforms=1)

    assert done["TransformJobStatus"] == "Failed"
    assert done["FailureReason"].endswith("struck by lightning, exit code: 3")
    assert "out/2.txt.out" not in jobs.outputs()


def test_model_artifact_that_escapes(jobs):
    """
    An archive whose member points out of the model folder fails the job and is not unpacked.
    """
    jobs.create_model({"../escaped": "x"})
    jobs.put("in/1.txt", "say one")

    assert "ClientError: Failed to extract model data" in jobs.run()["FailureReason"]


def test_manifest_names_the_objects(jobs):
    """
    A manifest's objects are transformed and no others, below their keys in the manifest.
    """
    manifest = [{"prefix": f"s3://{jobs.bucket}/in/"}, "a.txt", "deep/b.txt"]
    jobs.put("manifest.json", json.dumps(manifest))
    for key in ("in/a.txt", "in/deep/b.txt", "in/c.txt"):
        jobs.put(key, "say one")

    jobs.run(TransformInput=source(jobs.bucket, "ManifestFile", "manifest.json"))

    assert jobs.outputs() == ["out/a.txt.out", "out/deep/b.txt.out"]


def test_manifest_that_names_a_missing_object(jobs):
    """
    A key of the manifest that S3 does not hold fails the job with the key's error.
    """
    manifest = [{"prefix": f"s3://{jobs.bucket}/in/"}, "missing.txt"]
    jobs.put("manifest.json", json.dumps(manifest))

    done = jobs.run(TransformInput=source(jobs.bucket, "ManifestFile", "manifest.json"))

    assert done["TransformJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("ClientError: ")


@pytest.mark.parametrize("manifest", ["not json", "{}", "[]", '["a.txt"]'])
def test_manifest_that_names_no_prefix(jobs, manifest):
    """
    A manifest of another form fails the job and is named.
    """
    jobs.put("manifest.json", manifest)

    done = jobs.run(TransformInput=source(jobs.bucket, "ManifestFile", "manifest.json"))

    assert done["FailureReason"].startswith(
        f"ClientError: the manifest {jobs.bucket}/manifest.json is not a JSON list"
    )


def test_prefix_is_a_string_and_not_a_folder(jobs):
    """
    A prefix without a slash takes every key that starts so; folder markers are no input.
    """
    for key, body in {"in/a.txt": "say a", "in/": "", "in_old/b.txt": "say b"}.items():
        jobs.put(key, body)

    jobs.run(TransformInput=source(jobs.bucket, "S3Prefix", "in"))

    assert jobs.outputs() == ["out/a.txt.out", "out/in_old/b.txt.out"]


def test_empty_object_has_an_empty_output(jobs):
    """
    An object with no bytes has no record: nothing is sent, and its output is empty.
    """
    jobs.put("in/empty.txt", "")
    jobs.put("in/full.txt", "say one")

    jobs.run()

    assert jobs.get("out/empty.txt.out") == ""
    assert jobs.answers("out/full.txt.out")[0]["request"]["number"] == 1


def test_without_assembling_answers_are_joined_as_they_are(jobs):
    """
    AssembleWith None puts nothing between the answers.
    """
    jobs.put("in/1.txt", "say one\nsay two")
    output = {"S3OutputPath": f"s3://{jobs.bucket}/out"}

    jobs.run(TransformOutput=output, BatchStrategy="SingleRecord")

    assert jobs.get("out/1.txt.out").count("\n") == 0
    assert jobs.get("out/1.txt.out").count('{"record"') == 2


def test_instances_share_the_objects(jobs):
    """
    Two instances run two servers, each with some of the objects, every object once.
    """
    for number in range(4):
        jobs.put(f"in/{number}.txt", "say one")
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2}

    jobs.run(TransformResources=resources)

    pids = [jobs.answers(key)[0]["request"]["pid"] for key in jobs.outputs()]
    assert sorted(pids.count(pid) for pid in set(pids)) == [2, 2]


def test_lost_instance_fails_the_job_by_its_own_reason(jobs):
    """
    One server of two that dies ends the job, and the reason is its death.
    """
    jobs.put("in/0.txt", "sleep 600")
    jobs.put("in/1.txt", "die")
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2}

    assert jobs.run(TransformResources=resources)["FailureReason"].endswith("exit code: 3")


def test_no_server_outlives_its_job(jobs):
    """
    Once a job is over, the process that served it is gone.
    """
    jobs.put("in/1.txt", "say one")

    jobs.run()

    pid = jobs.answers("out/1.txt.out")[0]["request"]["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_logs_are_in_cloudwatch(jobs):
    """
    The server's output and SageMaker's own lines are in the job's streams of the group.
    """
    jobs.put("in/1.txt", "fail 500")
    jobs.run()
    group = {"logGroupName": "/aws/sagemaker/TransformJobs"}
    logs = jobs.client("logs")

    streams = logs.describe_log_streams(**group, logStreamNamePrefix=f"{jobs.bucket}/i-")
    lines = {}
    for stream in streams["logStreams"]:
        name = stream["logStreamName"]
        events = logs.get_log_events(**group, logStreamName=name, startFromHead=True)["events"]
        lines[name.rpartition("/")[2]] = [event["message"] for event in events]

    data_log = lines.pop("data-log")
    assert "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD" in data_log[0]
    assert f"{jobs.bucket}/in/1.txt: Bad HTTP status received from algorithm: 500" in data_log[1]
    (instance_log,) = lines.values()
    assert any("POST /invocations" in line for line in instance_log)


def test_state_changes_reach_a_queue(jobs):
    """
    A rule on SageMaker's state changes sends each state of the job, with its tags, to SQS.
    """
    queue_url = jobs.client("sqs").create_queue(QueueName=jobs.bucket)["QueueUrl"]
    attributes = jobs.client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["QueueArn"]
    )
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Transform Job State Change"],
        "detail": {"TransformJobName": [jobs.bucket]},
    }
    events = jobs.client("events")
    events.put_rule(Name=jobs.bucket, EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
    events.put_targets(Rule=jobs.bucket, Targets=[target])
    jobs.put("in/1.txt", "say one")

    jobs.run(Tags=[{"Key": "team", "Value": "disputes"}])

    received = []
    while len(received) < 2:
        answer = jobs.client("sqs").receive_message(QueueUrl=queue_url, WaitTimeSeconds=10)
        received += [json.loads(message["Body"]) for message in answer["Messages"]]
    statuses = {event["detail"]["TransformJobStatus"] for event in received}
    assert statuses == {"InProgress", "Completed"}
    assert {event["detail"]["Tags"]["team"] for event in received} == {"disputes"}
    assert all(isinstance(event["detail"]["CreationTime"], int) for event in received)
