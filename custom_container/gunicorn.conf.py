"""How gunicorn serves the container: a worker for each GPU, or one on CPU, with many threads.

Knows the process's life: the model loads after the fork, and a model that cannot load ends the
whole server with the reason as its last line, since SageMaker would ping a silent one for half
an hour.
"""

import logging
import os
import select
import signal
import sys
from pathlib import Path

from gunicorn_worker import IdleConnectionsWorker, without_quotation
from src.devices import free_gpu, given_gpus
from src.errors import ModelError, SettingsError
from src.settings import Settings

_gpus = given_gpus()
try:
    _settings = Settings.from_environment(gpus=_gpus)
except SettingsError as error:
    # gunicorn would put the sentence below a traceback.
    sys.exit(str(error))
_reason_reader, _reason_writer = os.pipe()

bind = f"0.0.0.0:{_settings.port}"
workers = max(_gpus, 1)
worker_class = IdleConnectionsWorker
# Two more than there are transforms: who is sent again meets the request that was given up.
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
# There is no proxy before it, whose SCRIPT_NAME would part a path from its route.
forwarded_allow_ips = ""


def pre_fork(server, worker):
    """Give the new worker a GPU that no living one has."""
    worker.gpu = free_gpu(workers, {living.gpu for living in server.WORKERS.values()})


def post_fork(_server, worker):
    """Let the worker end in time, and show torch, not imported yet, the worker's own GPU only."""
    # The server kills a worker that is still busy then, and it would not tell what it did.
    worker.cfg.set("graceful_timeout", max(0, worker.cfg.graceful_timeout - 2))
    if _gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(worker.gpu)


def post_worker_init(worker):
    """Begin to load the model in the worker: no CUDA context survives a fork."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("gunicorn.error").addFilter(without_quotation)

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
