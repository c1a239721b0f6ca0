"""How gunicorn serves the container: a worker for each GPU, or one on CPU, with many threads.

Knows the process's life: the model loads after the fork, and a model that cannot load ends the
whole server with the reason as its last line, since SageMaker would ping a silent one for half
an hour.
"""

import logging
import os
import re
import select
import selectors
import signal
import sys
from functools import partial
from pathlib import Path

from gunicorn.workers.gthread import ThreadWorker

from src.devices import free_gpu, given_gpus
from src.errors import ModelError
from src.settings import Settings

_gpus = given_gpus()
_settings = Settings.from_environment(gpus=_gpus)
_reason_reader, _reason_writer = os.pipe()


class IdleConnectionsWorker(ThreadWorker):
    """gunicorn's worker, but that a connection has a thread only once there is something to read.

    gunicorn gives a new one a thread for 5 s. SageMaker's client is Go's, which opens connections
    ahead of need, and a few of them would keep every thread from /invocations and /ping.
    """

    def enqueue_req(self, conn):
        """Hand a connection to the threads, a new one as soon as it is readable."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.data_ready = True  # which it is at the next call
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        readable = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)


bind = f"0.0.0.0:{_settings.port}"
workers = max(_gpus, 1)
worker_class = IdleConnectionsWorker
# Two more than there are transforms, so that /ping never waits behind an invocation.
threads = _settings.max_concurrent_transforms + 2
# ModelClientConfig allows an invocation 3600 s at most; gunicorn must not end one before.
timeout = 3600
# SIGKILL follows SIGTERM after 30 s (SageMaker's hosting guide; the one on batch is silent).
graceful_timeout = 25
# Longer than a client keeps an idle connection between two mini-batches.
keepalive = 75
# The root file system may be read-only, and a heartbeat must not wait for a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True


def pre_fork(server, worker):
    """Give the new worker a GPU that no living one has."""
    worker.gpu = free_gpu(workers, {living.gpu for living in server.WORKERS.values()})


def post_fork(_server, worker):
    """Show torch, which is not imported yet, the worker's own GPU only."""
    if _gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(worker.gpu)


def _without_quotation(record):
    """Keep from the log what gunicorn could not read: it may be a document of a misread body."""
    if str(record.msg).startswith("Invalid request from"):
        record.msg = re.split("['\"]", record.msg, maxsplit=1)[0]
    return True


def post_worker_init(worker):
    """Begin to load the model in the worker: no CUDA context survives a fork."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("gunicorn.error").addFilter(_without_quotation)

    def end_server(error: Exception) -> None:
        if not isinstance(error, ModelError):
            logging.getLogger("gunicorn.error").error("Cannot load the model.", exc_info=error)
        reason = " ".join(f"Cannot serve the model: {error}".split())
        # No more than a pipe takes in one piece, and without waiting for a reader.
        os.write(_reason_writer, reason.encode()[: select.PIPE_BUF - 1] + b"\n")
        # gunicorn has an exit code that ends the server, but of a second worker that fails with it
        # the arbiter dies itself, and the reason is never told.
        os.kill(worker.ppid, signal.SIGTERM)
        os._exit(1)

    worker.wsgi.extensions["model"].start_loading(on_failure=end_server)


def worker_exit(_server, worker):
    """Say what the worker did, once the last request in flight is answered."""
    if worker.booted:
        worker.wsgi.extensions["invocation_log"].job_ended()


def on_exit(_server):
    """Say last why the server ends, if its model could not be loaded; the first reason will do."""
    os.close(_reason_writer)
    with os.fdopen(_reason_reader, errors="replace") as reader:
        reason = reader.readline()
    if reason:
        sys.exit(reason.rstrip())
