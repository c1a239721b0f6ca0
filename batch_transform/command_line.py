"""
The edge: flags and environment become values, failures become sentences and exit codes.

A value is taken from its flag, else from the environment, else from `.env`, else from the default.
Knows click; what is drawn on the screen is in terminal.py.
"""

import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import partial, reduce, wraps
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource
from dotenv import load_dotenv, set_key

from batch_transform import terminal
from batch_transform.aws import AwsError, explain
from batch_transform.errors import BatchTransformError, InvalidSettings
from batch_transform.naming import bucket_problem, location_problem
from batch_transform.output_formats import FORMATS
from batch_transform.results_wanted import ResultsWanted
from batch_transform.settings import job_name_problem
from batch_transform.transform_profiles import TransformProfile
from batch_transform.watching import WatchSettings

Decorator = Callable[[Callable], Callable]


def run(command: click.Command) -> NoReturn:
    """Run a script's command and exit: 0 done, 1 an expected failure, 2 a wrong call."""
    _take_signals_for_ctrl_c()
    try:
        load_dotenv(Path.cwd() / ".env")
        command.main(standalone_mode=False)
        sys.stdout.flush()  # an answer for which the disk has no room was not given
    except click.ClickException as error:
        error.show()
        _leave(error.exit_code)
    except InvalidSettings as error:
        for problem in error.problems:
            terminal.fail(problem)
        _leave(2)
    except BatchTransformError as error:
        terminal.fail(str(error))
        _leave(1)
    except AwsError as error:
        terminal.fail(explain(error))
        _leave(1)
    except UnicodeDecodeError as error:
        terminal.fail(f".env is not UTF-8 text: {error}; save it as UTF-8")
        _leave(2)
    except OSError as error:
        terminal.fail(f"this machine refused: {error}")
        _leave(1)
    except click.Abort:
        terminal.fail("interrupted")
        _leave(1)
    sys.exit(0)


def _take_signals_for_ctrl_c() -> None:
    """Let SIGTERM, or the end of the terminal, leave no more behind than Ctrl-C does."""

    def interrupt(number: int, _frame: Any) -> NoReturn:
        # Shells and service managers send it again, which must not disturb the clearing up.
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup SIGHUP is to be ignored
            signal.signal(number, interrupt)


def _leave(code: int) -> NoReturn:
    """End the process at once: Python waits for threads, and a dead network makes them hang."""
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def refuse_typed(names: Sequence[str], reason: str) -> None:
    """Raise UsageError for options of these names that were typed, not taken from elsewhere."""
    context = click.get_current_context()
    typed = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and _is_typed(parameter.name)
    ]
    if typed:
        raise click.UsageError(f"{', '.join(typed)}: {reason}")


def _is_typed(name: str) -> bool:
    """Tell whether the command's option of this name was typed, not taken from elsewhere."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def dispensing_with(names: Sequence[str]) -> Callable[..., Any]:
    """Return the callback of an eager option beside which none of these need be given."""

    def ask_for_none(context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        for parameter in context.command.params if value else ():
            if parameter.name in names:
                parameter.required = False
        return value

    return ask_for_none


def write_to_env_file(name: str, value: str) -> None:
    """Set a variable in `.env`, which is made if need be; its other lines stay as they are."""
    set_key(Path.cwd() / ".env", name, value, quote_mode="never")


class _FilledText(click.ParamType):
    """
    Text that says something: `--resume "$JOB"` must not start a new job where JOB is unset.

    *find_problem* says what else is wrong with a text, if anything.
    """

    name = "text"

    def __init__(self, find_problem: Callable[[str], str | None] = lambda _text: None) -> None:
        self._find_problem = find_problem

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("it is empty: is a variable of the shell not set?", param, ctx)
        if problem := self._find_problem(value):
            self.fail(problem, param, ctx)
        return value


FILLED_TEXT = _FilledText()
JOB_NAME = _FilledText(job_name_problem)
BUCKET_NAME = _FilledText(bucket_problem)
LOCATION = _FilledText(location_problem)


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
confirm_option = option(
    "--yes",
    "confirm",
    is_flag=True,
    callback=lambda _context, _parameter, is_sure: _take_as_read if is_sure else _ask,
    help="Do not ask before removing, replacing or sending again.",
)
bucket_option = option(
    "--s3-bucket",
    "bucket",
    variable="S3_BUCKET_NAME",
    type=BUCKET_NAME,
    required=True,
    help="Bucket of every prefix that is not a full s3:// location.",
)
input_prefix_option = option(
    "--s3-input-prefix",
    "input_prefix",
    variable="S3_INPUT_PATH",
    type=LOCATION,
    default="input/",
    help="Text files, one document a line.",
)
output_prefix_option = option(
    "--s3-output-prefix",
    "output_prefix",
    variable="S3_OUTPUT_PATH",
    type=LOCATION,
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


_NOBODY_ANSWERED = "nobody answered, so nothing more is done: give --yes where nobody can be asked"


def _ask(question: str) -> None:
    """Put a question on stderr; end the command unless the answer is yes."""
    if sys.stdin is None:
        raise BatchTransformError(_NOBODY_ANSWERED)
    try:
        is_sure = click.confirm(question, err=True)
    except click.Abort as end:
        click.echo(err=True)  # the error must not stand in the question's line
        if isinstance(end.__context__, EOFError):
            raise BatchTransformError(_NOBODY_ANSWERED) from None
        raise
    if not is_sure:
        raise BatchTransformError("you did not say yes: nothing more is done")


def _take_as_read(_question: str) -> None:
    """Answer yes."""


def _pairs(
    _context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is not {parameter.metavar}")
    names = [pair.split("=", 1)[0] for pair in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise click.BadParameter(f"{twice[0]!r} is given more than once")
    return dict(pair.split("=", 1) for pair in pairs)


tag_option = partial(
    option,
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_pairs,
)


def _names(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _all_of(options: Sequence[Decorator]) -> Decorator:
    return lambda command: reduce(lambda wrapped, add: add(wrapped), reversed(options), command)


logs_option = option(
    "--logs",
    "shows_logs",
    is_flag=True,
    help="Show the container's last log lines; of a job that is followed, if it fails.",
)

_WANTS = [field.name for field in fields(ResultsWanted)]
OPTIONS_OF_RESULTS = (*_WANTS, "download_to")
"""The names of the options that say something of results, and nothing where none are made."""


class _Share(click.FloatRange):
    """A number from 0 to 1; click's range takes `nan`, which lies neither below nor above it."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number; BadParameter for any other."""
        share = super().convert(value, param, ctx)
        if math.isnan(share):
            self.fail(f"{value} is not in the range 0<=x<=1.", param, ctx)
        return share


NOBODY_WATCHES = (
    "--no-wait waits for no end; give it to check_batch_transform_status.py --watch later"
)
"""Why options of a job's end are refused beside --no-wait."""

_RESULTS_OPTIONS = (
    option(
        "--output-format",
        type=click.Choice(list(FORMATS)),
        default="json",
        help="Form of the file with all answers.",
    ),
    option(
        "--review-below",
        type=_Share(0, 1),
        default=0.2,
        help="List documents whose two best classes lie closer than this in review.csv.",
    ),
    option(
        "--with-text/--without-text",
        default=False,
        help="Put the documents' texts into the results.",
    ),
    option(
        "--keep-shards/--delete-shards",
        "keeps_shards",
        default=False,
        help="Keep the packed texts once every answer is verified.",
    ),
    option(
        "--download-to",
        type=click.Path(file_okay=False, path_type=Path),
        help="Copy the results into this folder.",
    ),
    logs_option,
)


def results_options(command: Callable) -> Callable:
    """
    Add the options of what is wanted of a job's answers, which arrive as one `results`.

    What is not typed is as the job's start had it, or by default. Stands next to the function: it
    takes in `--json`, and `--partial` where there is one.
    """

    @wraps(command)
    def with_watch_settings(**values: Any) -> Any:
        wants = {name: values.pop(name) for name in _WANTS}
        results = WatchSettings(
            asked={name: value for name, value in wants.items() if _is_typed(name)},
            is_partial=values.pop("is_partial", False),
            download_to=values.pop("download_to"),
            shows_logs=values.pop("shows_logs"),
            as_json=values.pop("as_json"),
        )
        results.check()
        return command(results=results, **values)

    return _all_of(_RESULTS_OPTIONS)(with_watch_settings)


def transform_options(profile: TransformProfile) -> Decorator:
    """Return the options that both kinds of job share, with the defaults of *profile*."""
    options = [
        option(
            "--model-path",
            type=LOCATION,
            default="model.tar.gz",
            help="Model artifact: a local file, or s3://… where it lies already.",
        ),
        bucket_option,
        option(
            "--s3-model-prefix",
            "model_prefix",
            variable="S3_MODEL_PATH",
            type=LOCATION,
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
            "--job-name",
            type=FILLED_TEXT,
            help="Name of the job, never used before. [default: made of the time]",
        ),
        option(
            "--strict",
            "is_strict",
            is_flag=True,
            help="Refuse blank lines, lines that are not UTF-8 and documents that are too large.",
        ),
        option(
            "--environment",
            multiple=True,
            metavar="NAME=VALUE",
            callback=_pairs,
            help="Setting of the container, such as TOP_K=5; give it once for each.",
        ),
        tag_option(help="Tag of the job, its Model and its files in S3; give it once for each."),
        option("--kms-key-id", type=FILLED_TEXT, help="KMS key for everything the job writes."),
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
    return _all_of(options)
