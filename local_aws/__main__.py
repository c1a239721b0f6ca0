"""
The command line of the local AWS: start, stop, status, and one more agent.

Knows the options and the process environment; ministack reads its settings there at import.
"""

import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import click

from local_aws import background
from local_aws.background import LocalAws, LocalAwsError, Registration

ACCOUNT_ID = "000000000000"
HOST = "127.0.0.1"

state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=".local_aws",
    show_default=True,
    help="Where its address and the jobs' logs are kept.",
)
container_dir_option = click.option(
    "--container-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default="custom_container",
    show_default=True,
    help="The folder whose Dockerfile says how every job's server is started.",
)
concurrent_jobs_option = click.option(
    "--concurrent-jobs",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="How many jobs the agent runs at once; 0 leaves them to agents started by hand.",
)
lease_option = click.option(
    "--lease-in-seconds",
    type=click.FloatRange(min=0.5),
    default=5.0,
    show_default=True,
    help="After how long without a word an agent is taken for dead.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """An AWS for this machine: S3, SQS, Lambda and others, and SageMaker's batch transform."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")


@main.command()
@state_dir_option
@container_dir_option
@concurrent_jobs_option
@lease_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4566,
    show_default=True,
    help=f"The port on {HOST}; 0 takes a free one.",
)
@click.option(
    "--quota",
    "quotas",
    metavar="TYPE=COUNT",
    multiple=True,
    help="Instances of a type that may be in use at once, such as ml.g5.xlarge=2.",
)
@click.option("--enforce-policies", is_flag=True, help="Let every role do what it may, no more.")
@click.option("--detach", is_flag=True, help="Return when it is ready and let it run.")
def start(
    *,
    state_dir: Path,
    container_dir: Path,
    concurrent_jobs: int,
    lease_in_seconds: float,
    port: int,
    quotas: tuple[str, ...],
    enforce_policies: bool,
    detach: bool,
) -> None:
    """Run it until Ctrl-C, SIGTERM or `stop`."""
    quota_of = dict(map(_quota, quotas))
    agent_options = ["--container-dir", str(container_dir.absolute())]
    agent_options += ["--concurrent-jobs", str(concurrent_jobs)]
    agent_options += ["--lease-in-seconds", str(lease_in_seconds)]
    if detach:
        own_options = ["--port", str(port), *(f"--quota={quota}" for quota in quotas)]
        own_options += ["--enforce-policies"] if enforce_policies else []
        _print_address(background.start(state_dir, [*own_options, *agent_options]))
        return
    registration = Registration(state_dir)
    listener = _listener(port)
    local_aws = LocalAws("http://{}:{}".format(*listener.getsockname()), os.getpid())
    _set_environment(listener.getsockname()[1], enforce_policies=enforce_policies)
    # Not before the environment is set.
    from local_aws import emulator  # noqa: PLC0415

    def on_ready() -> None:
        registration.fill_in(local_aws)
        _print_address(local_aws)

    agent_command = [sys.executable, "-m", "local_aws", "agent", *agent_options]
    agent_command += ["--endpoint-url", local_aws.endpoint_url]
    agent_command += ["--state-dir", str(state_dir.absolute())]
    emulator.run(listener, quota_of, agent_command if concurrent_jobs else None, on_ready)


@main.command()
@state_dir_option
def stop(state_dir: Path) -> None:
    """Stop the one that runs from the state folder."""
    was_running = background.stop(state_dir)
    click.echo("The local AWS is stopped." if was_running else "No local AWS was running.")


@main.command()
@state_dir_option
def status(state_dir: Path) -> None:
    """Print where it answers; exit 1 if it does not run."""
    local_aws = background.find(state_dir)
    if local_aws is None:
        message = f"No local AWS runs from {state_dir}."
        raise LocalAwsError(message)
    _print_address(local_aws)


@main.command()
def demo() -> None:
    """Run the README's own commands on the sample documents, and show what they found."""
    from local_aws.demo import run_demo  # noqa: PLC0415 - boto3 takes long to import

    run_demo()


@main.command()
def demo_automatic() -> None:
    """Deploy the stack, send three requests, show their results, and take it down."""
    from local_aws.demo_automatic import run_automatic_demo  # noqa: PLC0415 - as above

    run_automatic_demo()


@main.command()
@state_dir_option
@container_dir_option
@concurrent_jobs_option
@lease_option
@click.option("--endpoint-url", required=True, help="Where the local AWS answers.")
def agent(
    *,
    state_dir: Path,
    container_dir: Path,
    concurrent_jobs: int,
    lease_in_seconds: float,
    endpoint_url: str,
) -> None:
    """Run one more transform agent for a local AWS that runs already."""
    from local_aws.aws_clients import AwsClients  # noqa: PLC0415 - boto3 takes long to import
    from local_aws.job_control import JobControl  # noqa: PLC0415
    from local_aws.transform_agent import AgentSettings, TransformAgent  # noqa: PLC0415

    stop_asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop_asked.set())
    if not concurrent_jobs:
        message = "an agent that runs no job at all is of no use"
        raise click.BadParameter(message, param_hint="--concurrent-jobs")
    settings = AgentSettings(
        container_dir=container_dir.absolute(),
        log_dir=state_dir.absolute() / "logs",
        concurrent_jobs=concurrent_jobs,
        lease_in_seconds=lease_in_seconds,
    )
    control = JobControl(endpoint_url, lease_in_seconds)
    TransformAgent(control, AwsClients(endpoint_url), settings).run_until(stop_asked)


def _print_address(local_aws: LocalAws) -> None:
    click.echo(f"Local AWS is ready: AWS_ENDPOINT_URL={local_aws.endpoint_url}")


def _quota(text: str) -> tuple[str, int]:
    instance_type, _, count = text.partition("=")
    if not count.isdigit():
        message = f"{text!r} is not TYPE=COUNT, such as ml.g5.xlarge=2"
        raise click.BadParameter(message, param_hint="--quota")
    return instance_type, int(count)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        message = (
            f"Cannot listen on {HOST}:{port}: {error.strerror}. Choose another with --port, or "
            "stop what runs there."
        )
        raise LocalAwsError(message) from error
    return listener


def _set_environment(port: int, *, enforce_policies: bool) -> None:
    """Give ministack its settings; take away whatever leads to a real AWS account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AUTH=str(enforce_policies).lower(),
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        BIND_HOST=HOST,
        GATEWAY_PORT=str(port),
        IOT_MTLS_ENABLED="0",
        LOG_LEVEL="WARNING",
        MINISTACK_ACCOUNT_ID=ACCOUNT_ID,
        MINISTACK_HOST=HOST,
        MINISTACK_REGION=background.REGION,
        SFTP_ENABLED="0",
    )


if __name__ == "__main__":
    try:
        main(prog_name="python -m local_aws")
    except LocalAwsError as error:
        sys.exit(str(error))
