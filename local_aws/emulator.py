"""
The emulator's process: ministack with the SageMaker slice in front, and an agent beside it.

Importing this imports ministack, which reads its environment at import: set that first.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app as ministack_app

from local_aws import s3_objects, state_change_events
from local_aws.aws_clients import AwsClients
from local_aws.http_gateway import HttpGateway
from local_aws.parent_bound import parent_bound
from local_aws.s3_objects import S3Object
from local_aws.sagemaker_api import SageMakerApi
from local_aws.sagemaker_state import Home, SageMakerState

STARTUP_POLL_IN_SECONDS = 0.02
AGENT_RESTART_IN_SECONDS = 1.0
KEEP_ALIVE_IN_SECONDS = 75.0
GRACE_IN_SECONDS = 1.0


def run(
    listener: socket.socket,
    quotas: Mapping[str, int],
    agent_command: Sequence[str] | None,
    on_ready: Callable[[], None],
) -> None:
    """
    Serve on *listener* until SIGINT or SIGTERM.

    *on_ready* is called once requests are answered. An agent that dies is started again, as the
    machine under it would be replaced; without an *agent_command* there is none.
    """
    clients = AwsClients("http://{}:{}".format(*listener.getsockname()))

    def has_object(home: Home, wanted: S3Object) -> bool:
        return s3_objects.has_object(clients.s3(home), wanted)

    api = SageMakerApi(SageMakerState(), has_object, state_change_events.emit, quotas)
    gateway = HttpGateway(api, ministack_app)
    asyncio.run(_serve(gateway, listener, agent_command, on_ready))


async def _serve(
    gateway: HttpGateway,
    listener: socket.socket,
    agent_command: Sequence[str] | None,
    on_ready: Callable[[], None],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    beside = asyncio.create_task(_beside(listener, agent_command, on_ready))

    async def stopped() -> None:
        await stop.wait()
        # The agent goes first, while its last words are still taken.
        beside.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beside

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = KEEP_ALIVE_IN_SECONDS
    config.graceful_timeout = GRACE_IN_SECONDS
    await serve(gateway, config, shutdown_trigger=stopped)


def _report(loop: asyncio.AbstractEventLoop, context: dict) -> None:
    # Connections still open at the end are cancelled, which asyncio before 3.12 reports as a fault.
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


async def _beside(
    listener: socket.socket, agent_command: Sequence[str] | None, on_ready: Callable[[], None]
) -> None:
    await _answers(*listener.getsockname())
    on_ready()
    while agent_command:
        await _run_agent(agent_command)
        await asyncio.sleep(AGENT_RESTART_IN_SECONDS)


async def _answers(host: str, port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            await asyncio.sleep(STARTUP_POLL_IN_SECONDS)
        else:
            writer.close()
            return


async def _run_agent(agent_command: Sequence[str]) -> None:
    command = parent_bound(agent_command, dies_by=signal.SIGTERM)
    # In a session of its own, so that Ctrl-C reaches it once, from here.
    process = await asyncio.create_subprocess_exec(*command, start_new_session=True)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
