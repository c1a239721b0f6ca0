"""A stack with tags: they are on its resources, its jobs and whatever its functions write."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from .conftest import BUCKET, Site

NAMES = ("--stack-name", "tagged-stack", "--queue-name", "tagged-queue", "--lambda-name", "tagged")
FLAGS = ("--tag", "matter=4711 + more", "--tag", "team=legal")
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/classifier:tagged"
"""An image, and so a Model, of its own: a Model that is there stays as it is."""
TAGS = {"matter": "4711 + more", "team": "legal"}


@pytest.fixture(scope="module")
def tagged_site(bare_site: Site) -> Iterator[Site]:
    """A stack of its own, deployed with two tags, one of which a URL would have to quote."""
    deployed = bare_site.run("deploy_lambda.py", "--container-image", IMAGE, *FLAGS, *NAMES)
    assert deployed.returncode == 0, deployed.stderr
    queue_url = deployed.stdout.strip().partition("=")[2]
    tagged = replace(bare_site, environment=bare_site.environment | {"SQS_QUEUE_URL": queue_url})
    tagged.queue_name = "tagged-queue"
    yield tagged
    bare_site.run("deploy_lambda.py", "--delete", "--yes", *NAMES[:2])


def as_dict(listed: list[dict[str, str]]) -> dict[str, str]:
    """Return tags as keys and values."""
    return {tag["Key"]: tag["Value"] for tag in listed}


def tagging_statements(site: Site, function_name: str) -> dict[str, str]:
    """Return what the role of a function may tag, by action."""
    iam = site.client("iam")
    configuration = site.client("lambda").get_function(FunctionName=function_name)["Configuration"]
    role = configuration["Role"].rsplit("/", 1)[-1]
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    return {s["Action"]: s["Resource"] for s in document["Statement"] if "Tag" in str(s["Action"])}


def test_the_stack_and_its_resources_bear_the_tags(tagged_site: Site) -> None:
    """CloudFormation hands a stack's tags on: here to a queue and a function."""
    [stack] = tagged_site.client("cloudformation").describe_stacks(StackName=NAMES[1])["Stacks"]
    assert as_dict(stack["Tags"]) == TAGS
    queue = tagged_site.client("sqs").list_queue_tags(QueueUrl=tagged_site.queue_url)
    assert TAGS.items() <= queue["Tags"].items()
    function = tagged_site.client("lambda").get_function(FunctionName="tagged")
    assert TAGS.items() <= function["Tags"].items()


def test_the_roles_may_tag_their_jobs_and_files_alone(tagged_site: Site) -> None:
    """Jobs by the stack's own names, objects in their folders below the output prefix."""
    names = tagged_site.job_name("*")
    objects = {"s3:PutObjectTagging": f"arn:aws:s3:::{BUCKET}/output/*{names}"}
    job_arns = f"arn:aws:sagemaker:us-east-1:000000000000:transform-job/{names}"
    jobs = {"sagemaker:AddTags": job_arns}
    assert tagging_statements(tagged_site, "tagged") == jobs | objects
    assert tagging_statements(tagged_site, "tagged-completion") == objects


def test_a_stack_without_tags_may_tag_nothing(site: Site) -> None:
    """No statement is left over."""
    for function in ("batch-transform-lambda", "batch-transform-lambda-completion"):
        assert tagging_statements(site, function) == {}


def test_everything_that_a_request_leaves_bears_the_tags(tagged_site: Site) -> None:
    """The Model, the job, what was packed and recorded for it, and its results."""
    path = tagged_site.put_input(a=b"contract one\n")
    message_id = tagged_site.send({"input_path": path, "instance_type": "ml.m5.xlarge"})
    job_name = tagged_site.job_name(message_id)
    summary = tagged_site.await_object(job_name, "summary.json")

    sagemaker, s3 = map(tagged_site.client, ("sagemaker", "s3"))
    job = sagemaker.describe_transform_job(TransformJobName=job_name)
    model = sagemaker.describe_model(ModelName=summary["model_name"])
    tags_of: dict[str, dict[str, Any]] = {
        arn: as_dict(sagemaker.list_tags(ResourceArn=arn)["Tags"])
        for arn in (job["TransformJobArn"], model["ModelArn"])
    }
    for name in ("request.json", "job.json", "predictions.json", "report.html", "summary.json"):
        found = s3.get_object_tagging(Bucket=BUCKET, Key=f"output/{job_name}/{name}")
        tags_of[name] = as_dict(found["TagSet"])
    assert {name: tags for name, tags in tags_of.items() if tags != TAGS} == {}
    record = json.loads(tagged_site.read(f"output/{job_name}/job.json"))
    assert record["tags"] == TAGS


def test_tags_are_taken_off_where_they_are_no_longer_asked_for(tagged_site: Site) -> None:
    """The flags say all that the stack is to be; the functions' rights go with the tags."""
    bare = tagged_site.run("deploy_lambda.py", *NAMES)
    assert bare.returncode == 0, bare.stderr
    [stack] = tagged_site.client("cloudformation").describe_stacks(StackName=NAMES[1])["Stacks"]
    assert stack.get("Tags", []) == []
    assert tagging_statements(tagged_site, "tagged") == {}


def test_tags_that_sagemaker_or_s3_would_refuse_make_no_stack(bare_site: Site) -> None:
    """A sign that no tag may hold, and more tags than an object bears."""
    many = [word for number in range(11) for word in ("--tag", f"key{number}=x")]
    for flags, named in ((("--tag", "matter=a;b"), "a;b"), (many, "11 tags")):
        refused = bare_site.run("deploy_lambda.py", "--stack-name", "never", *flags)
        assert (refused.returncode, named in refused.stderr) == (2, True), refused.stderr
