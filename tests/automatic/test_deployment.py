"""deploy_lambda.py on the local AWS: shown, made, unchanged, refused and taken down."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest

from batch_transform.lambda_deployment import DeploymentSettings, plan_deployment

from .conftest import BUCKET, ROOT, Site

OTHER = (
    "--stack-name",
    "other-stack",
    "--queue-name",
    "other-queue",
    "--lambda-name",
    "other-lambda",
)


def stack_names(site: Site) -> set[str]:
    """Return the stacks that there are."""
    found = site.client("cloudformation").list_stacks()["StackSummaries"]
    return {each["StackName"] for each in found if each["StackStatus"] != "DELETE_COMPLETE"}


def queue_urls(site: Site) -> list[str]:
    """Return the queues that there are."""
    return site.client("sqs").list_queues().get("QueueUrls", [])


def without_settings(environment: dict[str, str]) -> dict[str, str]:
    """Leave out the variables that deploying takes."""
    taken = ("S3_", "CONTAINER_", "SAGEMAKER_", "SQS_")
    return {name: value for name, value in environment.items() if not name.startswith(taken)}


def test_a_dry_run_shows_the_changes_and_makes_none(bare_site: Site) -> None:
    """The resources are listed; neither stack nor queue nor code is there afterwards."""
    dry_run = ("deploy_lambda.py", "--dry-run", "--json", "--s3-prefix", "dry-code", *OTHER)
    shown = bare_site.run(*dry_run)
    assert shown.returncode == 0, shown.stderr
    assert "RequestQueue" in shown.stderr
    actions = {change["logical_id"]: change["action"] for change in json.loads(shown.stdout)}
    assert actions["RequestQueue"] == "Add"
    assert "other-stack" not in stack_names(bare_site)
    assert not bare_site.exists("dry-code/")


def test_deploying_again_changes_nothing(site: Site) -> None:
    """Code and Model are named by content, so the same sources are the same stack."""
    models = site.client("sagemaker").list_models()["Models"]
    again = site.run("deploy_lambda.py")
    assert again.returncode == 0, again.stderr
    assert "no changes" in again.stderr
    assert again.stdout == f"SQS_QUEUE_URL={site.queue_url}\n"
    assert site.client("sagemaker").list_models()["Models"] == models


def test_a_second_stack_stands_beside_the_first_and_is_taken_down(site: Site) -> None:
    """Made and deleted under other names; its address goes into .env, beside what is there."""
    environment_file = site.cwd / ".env"
    environment_file.write_text("# mine\nMODEL_DIR=elsewhere\n")
    try:
        made = site.run("deploy_lambda.py", "--write-env", *OTHER)
        assert made.returncode == 0, made.stderr
        lines = environment_file.read_text().splitlines()
    finally:
        environment_file.unlink()
    assert lines[:2] == ["# mine", "MODEL_DIR=elsewhere"]
    assert lines[2].startswith("SQS_QUEUE_URL=")
    assert lines[2].endswith("/other-queue")

    # Taking down needs the stack's name and nothing that only deploying needs.
    bare = replace(site, environment=without_settings(site.environment))
    by_name = ("deploy_lambda.py", "--delete", *OTHER[:2])
    kept = bare.run(*by_name, answer="n\n")
    assert kept.returncode == 1, kept.stderr
    assert "other-stack" in stack_names(site)

    deleted = bare.run(*by_name, answer="y\n")
    assert deleted.returncode == 0, deleted.stderr
    assert stack_names(site) == {"batch-transform-lambda-stack"}
    assert not any("other" in url for url in queue_urls(site))


def test_a_changed_setting_updates_the_stack_and_tells_the_topic(site: Site) -> None:
    """Other machines reach the function's variables, and every alarm gets the topic named later."""
    topic = "arn:aws:sns:us-east-1:000000000000:on-call"
    try:
        made = site.run("deploy_lambda.py", *OTHER)
        assert made.returncode == 0, made.stderr
        changed = ("--instance-type", "ml.m5.xlarge", "--alarm-topic-arn", topic)
        updated = site.run("deploy_lambda.py", *OTHER, *changed)
        assert updated.returncode == 0, updated.stderr
        assert "UPDATE_COMPLETE" in updated.stderr
        function = site.client("lambda").get_function(FunctionName="other-lambda")["Configuration"]
        assert function["Environment"]["Variables"]["INSTANCE_TYPES"] == "ml.m5.xlarge"
        alarms = site.client("cloudwatch").describe_alarms(AlarmNamePrefix="other-stack")
        actions = {alarm["AlarmName"]: alarm["AlarmActions"] for alarm in alarms["MetricAlarms"]}
        assert len(actions) == 7
        assert [name for name, told in actions.items() if told != [topic]] == []
    finally:
        site.run("deploy_lambda.py", "--delete", "--yes", *OTHER[:2])


def settings_of(site: Site) -> DeploymentSettings:
    """Return the settings of a stack of its own."""
    return DeploymentSettings(
        bucket=BUCKET,
        code_prefix="lambda-code",
        model_path=site.environment["S3_MODEL_PATH"],
        input_prefix="input/",
        output_prefix="output/",
        image_uri=site.environment["CONTAINER_IMAGE"],
        role_arn=site.environment["SAGEMAKER_ROLE_ARN"],
        queue_name="requests",
        lambda_name="starter",
        instance_types=("ml.m5.xlarge",),
    )


@pytest.mark.parametrize(
    ("field", "arn"),
    [
        ("kms_key_id", "arn:aws:kms:{}:000000000000:key/1"),
        ("alarm_topic_arn", "arn:aws:sns:{}:000000000000:on-call"),
    ],
)
def test_a_key_or_topic_of_another_region_is_refused(bare_site: Site, field: str, arn: str) -> None:
    """An alarm that may not have its topic would take the whole stack back with it."""
    settings = replace(settings_of(bare_site), region="us-east-1")
    [problem] = replace(settings, **{field: arn.format("eu-west-1")}).problems()
    assert "is in eu-west-1 and the stack would be in us-east-1" in problem
    assert [*replace(settings, **{field: arn.format("us-east-1")}).problems()] == []


@pytest.mark.parametrize(("scheme", "is_required"), [("https", "true"), ("http", "false")])
def test_tls_is_required_where_the_endpoint_has_it(
    bare_site: Site, clients: SimpleNamespace, scheme: str, is_required: str
) -> None:
    """On AWS the queues refuse a connection without; here there is none with it."""
    endpoint = SimpleNamespace(endpoint_url=f"{scheme}://sqs.us-east-1.amazonaws.com")
    clients.sqs = SimpleNamespace(meta=endpoint)
    plan = plan_deployment(clients, settings_of(bare_site), ROOT)
    assert plan.parameters["RequireTls"] == is_required


def test_a_tag_that_is_pushed_anew_makes_another_model(
    bare_site: Site, clients: SimpleNamespace
) -> None:
    """The Model holds the digest; an image that ECR does not know is used by its tag, and told."""
    settings = settings_of(bare_site)
    image = settings.image_uri.replace("classifier", "pinned-classifier")
    unknown = plan_deployment(clients, replace(settings, image_uri=image), ROOT)
    assert unknown.create_model["PrimaryContainer"]["Image"] == image
    assert ["tag is used" in remark for remark in unknown.remarks()] == [True]

    clients.ecr.create_repository(repositoryName="pinned-classifier")
    models = set()
    for content in ("one", "two"):
        manifest = json.dumps({"schemaVersion": 2, "config": {"digest": content}, "layers": []})
        pushed = clients.ecr.put_image(
            repositoryName="pinned-classifier", imageTag="latest", imageManifest=manifest
        )
        plan = plan_deployment(clients, replace(settings, image_uri=image), ROOT)
        digest = pushed["image"]["imageId"]["imageDigest"]
        assert plan.create_model["PrimaryContainer"]["Image"].endswith(
            f"/pinned-classifier@{digest}"
        )
        assert plan.remarks() == []
        models.add(plan.parameters["ModelName"])
    assert len(models) == 2


def test_a_queue_is_not_replaced_unasked(site: Site) -> None:
    """A new name makes a new queue and takes the old one down with all that waits in it."""
    before = queue_urls(site)
    for answer in ("n\n", ""):
        refused = site.run("deploy_lambda.py", "--queue-name", "renamed-queue", answer=answer)
        assert refused.returncode == 1
        assert "by replacement" in refused.stderr
        assert "RequestQueue" in refused.stderr.split("This takes down")[1]
        assert queue_urls(site) == before
    again = site.run("deploy_lambda.py")
    assert "no changes" in again.stderr


def test_a_local_artifact_is_uploaded_by_content(site: Site) -> None:
    """A folder as --model-path takes ./model.tar.gz, as the job scripts do."""
    artifact = site.cwd / "model.tar.gz"
    missing = site.run("deploy_lambda.py", "--dry-run", "--model-path", "kept/")
    assert missing.returncode == 2
    assert "package_model.py" in missing.stderr
    artifact.write_bytes(site.read("models/tiny/model.tar.gz"))
    try:
        made = site.run("deploy_lambda.py", "--model-path", "kept/", *OTHER)
        assert made.returncode == 0, made.stderr
        assert site.exists("kept/")
    finally:
        os.unlink(artifact)
        site.run("deploy_lambda.py", "--delete", "--yes", *OTHER)


@pytest.mark.parametrize(
    ("flags", "code", "named"),
    [
        (("--container-image", "classifier"), 2, "--container-image"),
        (("--s3-output-prefix", "input/out"), 2, "overlap"),
        (("--s3-input-prefix", "/"), 2, "--s3-input-prefix"),
        (("--s3-input-prefix", "in*"), 2, "in*/ holds '*', by which the functions' roles"),
        (("--s3-output-prefix", "${aws:username}"), 2, "/ holds '${'"),
        (("--s3-input-prefix", "входящие"), 2, "which no IAM policy may hold"),
        (("--s3-prefix", "input/code"), 2, "--s3-prefix: s3://legal-documents/input/code/ lies"),
        (("--s3-prefix", "output"), 2, "where a message can have it overwritten"),
        (
            ("--model-path", "output/train/model.tar.gz"),
            2,
            "--model-path: s3://legal-documents/out",
        ),
        (("--instance-type", "ml.p5.48xlarge"), 2, "does not offer 'ml.p5.48xlarge'"),
        (("--role-arn", "nobody"), 2, "--role-arn"),
        (("--kms-key-id", "alias/mine"), 2, "expected the key's ARN"),
        (("--kms-key-id", "arn:aws:kms:us-east-1:000000000000:key/*"), 2, "the key's ARN"),
        (("--alarm-topic-arn", "on-call"), 1, "AlarmTopicArn"),
        (("--model-path", f"s3://{BUCKET}/gone.tar.gz"), 2, "no model artifact at"),
        (("--s3-bucket", "no-such-bucket-here"), 1, "does not exist"),
        (("--queue-name", "a b"), 1, "QueueName"),
        (("--delete", "--dry-run", "--yes"), 2, "leave out --delete"),
    ],
)
def test_a_bad_value_is_refused_before_anything_is_made(
    site: Site, flags: tuple[str, ...], code: int, named: str
) -> None:
    """The flag is named, and no stack is begun."""
    refused = site.run("deploy_lambda.py", *OTHER, *flags)
    assert refused.returncode == code
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "other-stack" not in stack_names(site)
