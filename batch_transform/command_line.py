"""
The edge: flags and environment become values, failures become sentences and exit codes.

A value is taken from its flag, else from the environment, else from `.env`, else from the default.
Knows click; what is drawn on the screen is in terminal.py.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial, reduce
from pathlib import Path
from typing import Any, NoReturn

import click
from dotenv import load_dotenv, set_key

from batch_transform import terminal
from batch_transform.aws import AwsClients, AwsError, explain
from batch_transform.errors import BatchTransformError, InvalidSettings, WatchInterrupted
from batch_transform.job_outcome import download_results, finish_job
from batch_transform.job_progress import follow_progress
from batch_transform.naming import new_job_name
from batch_transform.settings import TransformSettings
from batch_transform.transform_job import TransformJob, describe_job
from batch_transform.transform_plan import TransformPlan, carry_out, plan_transform
from batch_transform.transform_profiles import TransformProfile

Decorator = Callable[[Callable], Callable]
_STATUS_SCRIPT = "python check_batch_transform_status.py"


def run(command: click.Command) -> NoReturn:
    """Run a script's command and exit: 0 done, 1 an expected failure, 2 a wrong call."""
    load_dotenv(Path.cwd() / ".env")
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except InvalidSettings as error:
        terminal.fail(str(error))
        sys.exit(2)
    except BatchTransformError as error:
        terminal.fail(str(error))
        sys.exit(1)
    except AwsError as error:
        terminal.fail(explain(error))
        sys.exit(1)
    except OSError as error:
        terminal.fail(f"this machine refused: {error}")
        sys.exit(1)
    except click.Abort:
        terminal.fail("interrupted")
        sys.exit(1)
    sys.exit(0)


def write_to_env_file(name: str, value: str) -> None:
    """Set a variable in `.env`, which is made if need be; its other lines stay as they are."""
    set_key(Path.cwd() / ".env", name, value, quote_mode="never")


def option(*names: str, variable: str | None = None, **settings: Any) -> Decorator:
    """Return a click option whose help names its variable and its default."""
    return click.option(
        *names, envvar=variable, show_envvar=variable is not None, show_default=True, **settings
    )


region_option = option("--region", variable="AWS_REGION", help="AWS region, such as us-east-1.")
queue_url_option = partial(
    option,
    "--queue-url",
    variable="SQS_QUEUE_URL",
    help="Queue of the deployment; deploy_lambda.py prints it.",
)
json_option = option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
download_option = option(
    "--download-to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy predictions.json and summary.json into this folder.",
)
bucket_option = option(
    "--s3-bucket",
    "bucket",
    variable="S3_BUCKET_NAME",
    required=True,
    help="Bucket of every prefix that is not a full s3:// location.",
)
input_prefix_option = option(
    "--s3-input-prefix",
    "input_prefix",
    variable="S3_INPUT_PATH",
    default="input/",
    help="Text files, one document a line.",
)
output_prefix_option = option(
    "--s3-output-prefix",
    "output_prefix",
    variable="S3_OUTPUT_PATH",
    default="output/",
    help="Below it, each job gets a folder of its own.",
)
image_option = option(
    "--container-image",
    "image_uri",
    variable="CONTAINER_IMAGE",
    required=True,
    help="Image in Amazon ECR; custom_container/build_and_push.sh prints it.",
)
instance_count_option = option(
    "--instance-count",
    variable="SAGEMAKER_INSTANCE_COUNT",
    type=click.IntRange(min=1, max=100),
    default=1,
    help="How many of them.",
)
role_option = option(
    "--role-arn",
    variable="SAGEMAKER_ROLE_ARN",
    required=True,
    help="Execution role that SageMaker assumes.",
)


def _tags(
    _context: click.Context, _parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is not KEY=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


def _names(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def transform_options(profile: TransformProfile) -> Decorator:
    """Return the options that both kinds of job share, with the defaults of *profile*."""
    options = [
        option(
            "--model-path",
            default="model.tar.gz",
            help="Model artifact: a local file, or s3://… where it lies already.",
        ),
        bucket_option,
        option(
            "--s3-model-prefix",
            "model_prefix",
            variable="S3_MODEL_PATH",
            default="models/",
            help="Where model artifacts are kept, by content.",
        ),
        input_prefix_option,
        output_prefix_option,
        image_option,
        option(
            "--instance-type",
            variable="SAGEMAKER_INSTANCE_TYPE",
            default=profile.default_instance_type,
            help="Machine to rent.",
        ),
        instance_count_option,
        role_option,
        option(
            "--job-name", help="Name of the job, never used before. [default: made of the time]"
        ),
        option(
            "--strict",
            "is_strict",
            is_flag=True,
            help="Refuse blank lines, lines that are not UTF-8 and documents that are too large.",
        ),
        option(
            "--tag",
            "tags",
            multiple=True,
            metavar="KEY=VALUE",
            callback=_tags,
            help="Tag of the job and its Model; give it once for each.",
        ),
        option("--kms-key-id", help="KMS key for everything the job writes."),
        option(
            "--subnets", callback=_names, metavar="ID,ID", help="Subnets that the Model runs in."
        ),
        option(
            "--security-groups",
            "security_group_ids",
            callback=_names,
            metavar="ID,ID",
            help="Security groups that the Model runs in.",
        ),
        region_option,
        option("--wait/--no-wait", default=True, help="Follow the job to its end."),
        option("--dry-run", is_flag=True, help="Print the exact requests and send none."),
        json_option,
    ]
    return lambda command: reduce(lambda wrapped, add: add(wrapped), reversed(options), command)


def start_transform(
    profile: TransformProfile,
    *,
    region: str | None,
    job_name: str | None,
    wait: bool,
    dry_run: bool,
    as_json: bool,
    download_to: Path | None = None,
    **values: Any,
) -> None:
    """Plan a job; show the plan, or carry it out and follow it."""
    clients = AwsClients(region)
    job_name = job_name or new_job_name(profile.name, datetime.now(UTC))
    settings = TransformSettings(
        profile=profile, job_name=job_name, region=clients.region, **values
    )
    plan = plan_transform(clients, settings)
    for remark in (f"plan: {plan.estimate}", *plan.remarks()):
        terminal.say(remark)
    if dry_run:
        terminal.print_json(plan.requests() | {"Estimate": plan.estimate.to_json()})
        return
    left_out = carry_out(clients, plan, terminal.progress)
    _say_started(plan, left_out)
    if wait:
        watch(clients, job_name, as_json=as_json, download_to=download_to)
    elif as_json:
        terminal.print_json({"job_name": job_name, "folder": str(plan.folder.root)})
    else:
        terminal.print_answer(job_name)


def watch(
    clients: AwsClients, job_name: str, *, as_json: bool, download_to: Path | None = None
) -> None:
    """Follow a job to its end and print what became of it; raise where it did not complete."""
    job = follow(clients, job_name)
    summary = finish_job(clients.s3, job)
    if as_json:
        terminal.print_json(summary or terminal.job_as_document(job))
    elif summary:
        terminal.print_summary(summary)
    else:
        terminal.print_job(job)
    if summary and download_to:
        for path in download_results(clients.s3, job, download_to):
            terminal.say(f"wrote {path}")


def follow(clients: AwsClients, job_name: str) -> TransformJob:
    """Draw a job's progress until it ends and return it; Ctrl-C ends the watching only."""
    job = describe_job(clients.sagemaker, job_name)
    try:
        return terminal.show_progress(follow_progress(clients, job, time.sleep))
    except KeyboardInterrupt:
        raise WatchInterrupted(
            f"no longer watching; the job {job_name} goes on and is billed.\n"
            f"watch it: {_STATUS_SCRIPT} --job-name {job_name} --watch\n"
            f"stop it:  {_STATUS_SCRIPT} --job-name {job_name} --stop"
        ) from None


def _say_started(plan: TransformPlan, left_out: dict[str, int]) -> None:
    for code, count in left_out.items():
        account = f", see {plan.folder.left_out}" if plan.packs_input else ""
        terminal.say(f"{count:,} lines hold no document ({code}){account}")
    terminal.say(
        f"started {plan.job_name}: {len(plan.input_folder.files):,} files from "
        f"{plan.input_folder.uri}"
    )
    terminal.say(f"its folder: {plan.folder.root}")
