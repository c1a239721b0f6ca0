"""build_and_push.sh, with docker and the AWS CLI replaced by scripts that note their calls."""

import os
import re
import subprocess

import botocore.session
import pytest
from dotenv import dotenv_values

DOCKER = """#!/bin/sh
echo "docker $*" >> "$CALLS"
[ "$1" = login ] && { [ "$(cat)" = hidden-token ] || exit 1; }
[ "docker $1" != "$FAILS" ]
"""
AWS = """#!/bin/sh
echo "aws $*" >> "$CALLS"
case "$1 $2" in
  "configure get") exit 1 ;;
  "sts get-caller-identity") echo 123456789012 ;;
  "ecr describe-repositories")
    [ -n "$REPOSITORY_EXISTS" ] || { echo "$ECR_SAYS" >&2; exit 254; } ;;
  "ecr describe-images") echo "$FORMAT" ;;
  "ecr get-login-password") echo hidden-token ;;
esac
[ "aws $2" != "$FAILS" ]
"""
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/classifier"


@pytest.fixture
def env_file(tmp_path):
    """Where the script looks for variables and writes the image."""
    return tmp_path / ".env"


@pytest.fixture
def build_and_push(container_dir, env_file, tmp_path):
    """Run the script, or commands `by_hand`; gives the outcome and the calls that were made."""
    for name, script in (("docker", DOCKER), ("aws", AWS)):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(script)
        tool.chmod(0o755)
    calls = tmp_path / "calls"

    def run(*options, by_hand=None, **environment):
        calls.write_text("")
        script = [container_dir / "build_and_push.sh", "--env-file", env_file, *options]
        outcome = subprocess.run(
            script if by_hand is None else ["bash", "-e"],
            input=by_hand,
            cwd=env_file.parent,
            env={
                "PATH": f"{tmp_path / 'bin'}:{os.defpath}",
                "CALLS": str(calls),
                "ECR_SAYS": "An error occurred (RepositoryNotFoundException)",
                "ECR_REPOSITORY": "classifier",
                "AWS_REGION": "eu-west-1",
                "FORMAT": "application/vnd.docker.distribution.manifest.v2+json",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return outcome, calls.read_text().splitlines()

    return run


def changes(calls):
    """The calls that change something, by their first words."""
    reading = (
        "docker info",
        "docker buildx version",
        "aws sts",
        "aws configure",
        "aws ecr describe",
        "aws ecr get",
    )
    return [call for call in calls if not call.startswith(reading)]


def test_the_image_is_built_and_pushed_to_a_new_repository(build_and_push):
    """Repository, rule, build for amd64, login, both tags; stdout is the URI alone."""
    outcome, calls = build_and_push()
    done = changes(calls)

    assert outcome.returncode == 0, outcome.stderr
    uri = outcome.stdout.strip()
    assert uri.startswith(f"{IMAGE}:")
    assert [" ".join(call.split()[:3]) for call in done] == [
        "aws ecr create-repository",
        "aws ecr put-lifecycle-policy",
        "docker build --platform",
        "docker login --username",
        f"docker push {uri}",
        f"docker push {IMAGE}:latest",
    ]
    assert "--platform linux/amd64" in done[2]
    assert "--build-arg" not in done[2]


def test_an_existing_repository_is_used_as_it_is(build_and_push):
    """Neither created again nor given another lifecycle rule."""
    _, calls = build_and_push(REPOSITORY_EXISTS="yes")

    assert changes(calls)[0].startswith("docker build")


def test_base_image_and_wheels_can_be_chosen(build_and_push):
    """For an image without CUDA."""
    _, calls = build_and_push(
        *("--base-image", "python:slim"), TORCH_INDEX_URL="https://wheels.example/cpu"
    )

    build = changes(calls)[2]
    assert "--build-arg BASE_IMAGE=python:slim" in build
    assert "--build-arg TORCH_INDEX_URL=https://wheels.example/cpu" in build


@pytest.mark.parametrize(
    ("fails", "is_loaded"), [("", True), ("docker buildx", False)], ids=["buildx", "no buildx"]
)
def test_what_is_built_can_be_pushed_by_whatever_builder(build_and_push, fails, is_loaded):
    """buildx may keep what it builds to itself; docker without it knows no such option."""
    _, calls = build_and_push(FAILS=fails, REPOSITORY_EXISTS="yes")

    build = changes(calls)[0]
    assert ("--load" in build.split()) == is_loaded
    assert build.startswith("docker build --platform linux/amd64")


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-gov-west-1", "amazonaws.com"),
        ("eusc-de-east-1", "amazonaws.eu"),
    ],
)
def test_each_partition_has_its_own_domain(build_and_push, region, domain):
    """China's and Europe's own clouds are reached under other names; GovCloud is not."""
    outcome, calls = build_and_push(AWS_REGION=region)

    registry = f"123456789012.dkr.ecr.{region}.{domain}"
    assert outcome.stdout.startswith(f"{registry}/classifier:")
    assert f"docker login --username AWS --password-stdin {registry}" in calls


def test_the_tag_follows_the_content(build_and_push):
    """The same files give the same tag; another base gives another."""
    first, _ = build_and_push()
    again, _ = build_and_push()
    other, _ = build_and_push(BASE_IMAGE="python:slim")

    assert first.stdout == again.stdout != other.stdout


@pytest.mark.parametrize("name", ["__pycache__/test_build_and_push.nbi", "test_build_and_push.swp"])
def test_what_lies_beside_the_code_is_no_content(build_and_push, container_dir, name):
    """Compiled code, which running the tests leaves, and an editor's file make no other image."""
    first, _ = build_and_push()
    kept = container_dir / "src" / name
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"no content")
    try:
        again, _ = build_and_push()
    finally:
        kept.unlink()

    assert first.stdout == again.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "CONTAINER_IMAGE={}\n"),
        ("A=1\nCONTAINER_IMAGE=\n# b\n", "A=1\nCONTAINER_IMAGE={}\n# b\n"),
        ("A=1\nCONTAINER_IMAGE=old:1\n", "A=1\nCONTAINER_IMAGE={}\n"),
        ("A=1\n# CONTAINER_IMAGE=x", "A=1\n# CONTAINER_IMAGE=x\nCONTAINER_IMAGE={}\n"),
        (
            "CONTAINER_IMAGE=a\nexport CONTAINER_IMAGE=b\n",
            "CONTAINER_IMAGE={}\nexport CONTAINER_IMAGE={}\n",
        ),
        (" CONTAINER_IMAGE = 'a b' # c\n B = 2 ", "CONTAINER_IMAGE={}\n B = 2 "),
        ("MY_CONTAINER_IMAGE=a\n", "MY_CONTAINER_IMAGE=a\nCONTAINER_IMAGE={}\n"),
        ("A=1\r\nCONTAINER_IMAGE=a\r\nB=2\r\n", "A=1\r\nCONTAINER_IMAGE={}\r\nB=2\r\n"),
        ("A=1\r\nB=2\r\n", "A=1\r\nB=2\r\nCONTAINER_IMAGE={}\r\n"),
        ("A=1\r\nB=2", "A=1\r\nB=2\r\nCONTAINER_IMAGE={}\r\n"),
        ("A=M\xfcnchen\\n\nCONTAINER_IMAGE=\xe4", "A=M\xfcnchen\\n\nCONTAINER_IMAGE={}"),
    ],
)
def test_the_image_is_written_into_the_env_file(build_and_push, env_file, before, after):
    """Other lines stay as they are, and the file as it was stays beside it."""
    if before is not None:
        env_file.write_bytes(before.encode("latin-1"))

    outcome, _ = build_and_push()

    uri = outcome.stdout.strip()
    assert env_file.read_bytes().decode("latin-1") == after.replace("{}", uri)
    assert env_file.with_name(".env.bak").read_bytes() == (before or "").encode("latin-1")
    assert dotenv_values(env_file, encoding="latin-1")["CONTAINER_IMAGE"] == uri


def test_the_env_file_fills_in_what_the_environment_lacks(build_and_push, env_file):
    """As for the scripts: a flag beats the environment, the environment beats the file."""
    env_file.write_text("AWS_REGION='eu-north-1'\nECR_REPOSITORY=ignored\n")

    from_file, _ = build_and_push(AWS_REGION="")
    from_environment, _ = build_and_push()
    from_flag, _ = build_and_push("--region", "us-west-2")

    regions = [outcome.stdout.split(".")[3] for outcome in (from_file, from_environment, from_flag)]
    assert regions == ["eu-north-1", "eu-west-1", "us-west-2"]
    assert "/classifier:" in from_file.stdout


@pytest.mark.parametrize(
    "line",
    [
        "AWS_REGION=eu-north-1",
        'AWS_REGION="eu-north-1"\r\nA=1\r\n',
        "AWS_REGION=eu-north-1\r\n",
        "export AWS_REGION=eu-north-1  # Stockholm\n",
        " AWS_REGION = 'eu-north-1' # Stockholm's\n",
        "AWS_REGION=us-east-1\nAWS_REGION=eu-north-1\n",
        "#AWS_REGION=us-east-1\nMY_AWS_REGION=us-east-1\nAWS_REGION=eu-north-1\n",
    ],
)
def test_a_value_is_read_from_the_env_file_as_the_scripts_read_it(build_and_push, env_file, line):
    """Quotes, remarks, Windows line ends, no last newline; of two lines the last one counts."""
    env_file.write_text(line, newline="")

    outcome, _ = build_and_push(AWS_REGION="")

    assert dotenv_values(env_file)["AWS_REGION"] == outcome.stdout.split(".")[3] == "eu-north-1"


def test_an_env_file_is_looked_for_where_the_script_is_called(build_and_push, env_file):
    """Not beside the script."""
    outcome, _ = build_and_push("--env-file", ".env")

    assert env_file.read_text() == f"CONTAINER_IMAGE={outcome.stdout}"


def test_a_dry_run_changes_nothing(build_and_push, env_file):
    """It prints the URI that it would end with."""
    dry, calls = build_and_push("--dry-run")
    assert changes(calls) == []
    assert not env_file.exists()

    real, _ = build_and_push()
    assert dry.stdout == real.stdout


@pytest.mark.parametrize("exists", ["", "yes"], ids=["new repository", "old repository"])
def test_what_a_dry_run_prints_is_what_another_run_does(build_and_push, exists):
    """A shell that gets all of it makes the calls of the script; what is no command is a remark."""
    environment = {"REPOSITORY_EXISTS": exists, "TORCH_INDEX_URL": "https://wheels.example/a b?c=d"}
    _, calls_of_script = build_and_push(**environment)
    dry, _ = build_and_push("--dry-run", **environment)

    by_hand, calls_by_hand = build_and_push(by_hand=dry.stderr, **environment)

    checks = ("docker info", "docker buildx", "aws sts", "aws ecr describe-repositories")
    made = [call for call in calls_of_script if not call.startswith(checks)]
    assert by_hand.returncode == 0, by_hand.stderr
    # Of a pipe's two commands either may come first.
    assert sorted(calls_by_hand) == sorted(made)
    assert "# CONTAINER_IMAGE=" in dry.stderr


def test_a_real_run_tells_the_commands_of_a_dry_one(build_and_push):
    """The same lines, but for the remarks."""
    dry, _ = build_and_push("--dry-run")
    real, _ = build_and_push()

    commands = [line for line in dry.stderr.splitlines() if not line.startswith("#")]
    assert commands == real.stderr.splitlines()


def test_no_secret_is_printed(build_and_push, env_file):
    """Neither a key nor an index's password; what the commands need beside them is named."""
    env_file.write_text("AWS_ACCESS_KEY_ID=hidden-id\nAWS_SECRET_ACCESS_KEY=hidden-key\n")
    index = ("--torch-index-url", "https://user:hidden-password@wheels.example/cpu")

    dry, _ = build_and_push(*index, "--dry-run")
    real, calls = build_and_push(*index)

    assert "hidden" not in dry.stdout + dry.stderr + real.stdout + real.stderr
    assert "need AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY of" in dry.stderr
    assert "docker reads TORCH_INDEX_URL" in dry.stderr
    assert " --build-arg TORCH_INDEX_URL " in changes(calls)[2]


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"FAILS": "docker info"}, "docker does not answer"),
        (
            {"FAILS": "aws get-caller-identity"},
            "AWS knows no such credentials, or no region 'eu-west-1'",
        ),
        ({"FAILS": "docker build"}, "the build failed"),
        ({"FAILS": "docker login"}, "docker could not log in"),
        ({"FAILS": "docker push"}, "was not pushed"),
        ({"ECR_SAYS": "AccessDeniedException"}, "ECR refused: AccessDeniedException"),
        ({"AWS_REGION": ""}, "no region"),
    ],
)
def test_any_failure_stops_with_a_sentence_and_no_uri(
    build_and_push, env_file, environment, sentence
):
    """Nothing is pushed after a failed step, and nobody mistakes it for a success."""
    outcome, calls = build_and_push(**environment)

    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert sentence in outcome.stderr.splitlines()[-1]
    assert f"docker push {IMAGE}:latest" not in calls
    assert not env_file.exists()


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ],
)
def test_an_image_that_sagemaker_refuses_is_not_written_down(build_and_push, env_file, media_type):
    """CreateModel would refuse its format, long after it was pushed."""
    outcome, _ = build_and_push(FORMAT=media_type)

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "SageMaker refuses the format" in outcome.stderr.splitlines()[-1]
    assert not env_file.exists()


def test_a_format_that_cannot_be_asked_for_stops_nothing(build_and_push):
    """The right to push is no right to ask."""
    outcome, _ = build_and_push(FAILS="aws describe-images", FORMAT="")

    assert outcome.returncode == 0
    assert "is not checked" in outcome.stderr


def assert_is_usage_error(outcome, calls, says):
    """Exit 2, with the options listed and what is wrong last, and neither docker nor AWS asked."""
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert "--torch-index-url" in outcome.stderr
    assert says in outcome.stderr.splitlines()[-1]
    assert calls == []


def test_an_unknown_option_is_a_usage_error(build_and_push):
    """It is named."""
    assert_is_usage_error(*build_and_push("--force"), says="--force")


@pytest.mark.parametrize(
    "option", ["--repository", "--region", "--base-image", "--torch-index-url", "--env-file"]
)
@pytest.mark.parametrize("value", [[], [""], ["--dry-run"]], ids=["none", "empty", "an option"])
def test_a_forgotten_value_is_a_usage_error(build_and_push, option, value):
    """The next option is no value: --region --dry-run would push, and to nowhere."""
    assert_is_usage_error(*build_and_push(option, *value), says=f"{option} needs a value")


@pytest.mark.parametrize(
    "name",
    [
        *("classifier", "team/classifier", "a.b_c__d-e--f/9", "ab", "a" * 256),
        *("Bad Repo", "Classifier", "a", "a" * 257, "a..b", "a___b", "-a", "a-", "a//b", "/a"),
        *("classifi\xe9r", "classifier:latest", "classifier\n", "a;b"),
    ],
)
def test_a_repository_is_named_as_ecr_takes_it(build_and_push, name):
    """botocore's model of ECR says which; a name that it refuses is a usage error."""
    rule = botocore.session.get_session().get_service_model("ecr").shape_for("RepositoryName")
    is_long_enough = rule.metadata["min"] <= len(name) <= rule.metadata["max"]

    outcome, calls = build_and_push("--repository", name)

    if is_long_enough and re.fullmatch(rule.metadata["pattern"], name):
        assert f"/{name}:" in outcome.stdout
    else:
        assert_is_usage_error(outcome, calls, says="small letters and digits")


def test_a_repository_of_the_environment_is_checked_too(build_and_push):
    """The message names the variable beside the option."""
    assert_is_usage_error(*build_and_push(ECR_REPOSITORY="Bad Repo"), says="ECR_REPOSITORY")
