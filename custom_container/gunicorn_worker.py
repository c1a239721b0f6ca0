"""gunicorn's worker and its log as this container needs them.

Knows gunicorn's connections and log records; knows neither models nor what a request asks.
"""

import logging
import re
import selectors
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from gunicorn.workers.gthread import TConn, ThreadWorker

# Each answers at once, so that only clients which begin to ask and do not go on could use them up.
THREADS_FOR_QUESTIONS = 16


class IdleConnectionsWorker(ThreadWorker):
    """gunicorn's worker, but that a connection has a thread only once there is something to read.

    gunicorn gives a new one a thread for 5 s. SageMaker's client is Go's, which opens connections
    ahead of need, and a few of them would keep every thread from /invocations and /ping. And a GET
    has threads of its own, so that no number of slow or stuck invocations keeps it waiting.
    """

    def init_process(self) -> None:
        """Begin to serve, in the worker's process."""
        self._questions = ThreadPoolExecutor(THREADS_FOR_QUESTIONS)
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Hand a connection to the threads, a new one as soon as it is readable."""
        if conn.initialized or conn.data_ready:
            pool = self._questions if _is_question(conn.sock) else self.tpool
            handled = pool.submit(self.handle, conn)
            handled.add_done_callback(partial(self.method_queue.defer, self.finish_request, conn))
            return
        conn.data_ready = True  # which it is at the next call
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        readable = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)


def _is_question(connection: socket.socket) -> bool:
    """Whether a GET begins what is there to read."""
    try:
        return connection.recv(4, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"GET "
    except OSError:
        return False


def without_quotation(record: logging.LogRecord) -> bool:
    """Keep from the log what gunicorn could not read: it may be a document of a misread body."""
    if str(record.msg).startswith("Invalid request from"):
        record.msg = re.split("['\"]", record.msg, maxsplit=1)[0]
    return True
