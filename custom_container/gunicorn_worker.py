"""gunicorn's worker and its log as this container needs them.

Knows gunicorn's connections and log records; knows neither models nor requests.
"""

import logging
import re
import selectors
from functools import partial

from gunicorn.workers.gthread import TConn, ThreadWorker


class IdleConnectionsWorker(ThreadWorker):
    """gunicorn's worker, but that a connection has a thread only once there is something to read.

    gunicorn gives a new one a thread for 5 s. SageMaker's client is Go's, which opens connections
    ahead of need, and a few of them would keep every thread from /invocations and /ping.
    """

    def enqueue_req(self, conn: TConn) -> None:
        """Hand a connection to the threads, a new one as soon as it is readable."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.data_ready = True  # which it is at the next call
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        readable = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)


def without_quotation(record: logging.LogRecord) -> bool:
    """Keep from the log what gunicorn could not read: it may be a document of a misread body."""
    if str(record.msg).startswith("Invalid request from"):
        record.msg = re.split("['\"]", record.msg, maxsplit=1)[0]
    return True
