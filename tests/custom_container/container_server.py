"""The real server, started as SageMaker starts the image, and its clients."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from local_aws.container_image import ContainerImage

DEADLINE_IN_SECONDS = 60


def until(condition, process=None):
    """Poll until `condition` holds; fail when time is up or the process has ended."""
    deadline = time.monotonic() + DEADLINE_IN_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        assert process is None or process.poll() is None, f"ended with {process.returncode}"
        time.sleep(0.02)


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A gunicorn started as the image starts it, with the word `serve` that SageMaker adds."""

    def __init__(self, container_dir, model_dir, log, entrypoint=None, **environment):
        self.port = free_port()
        self.log = log
        image = ContainerImage.of_folder(container_dir)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*(entrypoint or image.entrypoint), "serve"],
                cwd=container_dir,
                env={
                    **image.environment,
                    "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
                    "SM_MODEL_DIR": str(model_dir),
                    "SAGEMAKER_BIND_TO_PORT": str(self.port),
                    "SAGEMAKER_BATCH": "true",
                    **environment,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def connection(self):
        """A new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_IN_SECONDS)

    def workers(self):
        """The processes that serve."""
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, check=False
        )
        return [int(pid) for pid in children.stdout.split()]

    def memory_in_bytes(self):
        """What the workers hold in memory."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self.workers()]
        return sum(int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024 for text in statuses)

    def request(
        self, method, path, body=None, content_type="text/plain", content_encoding="identity"
    ):
        """Status, headers and body of one request; a refused connection has status None."""
        connection = self.connection()
        try:
            headers = {"Content-Type": content_type, "Content-Encoding": content_encoding}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        except ConnectionRefusedError:
            return None, None, None
        finally:
            connection.close()

    def wait_until_loaded(self):
        """Ping until 200."""
        until(lambda: self.request("GET", "/ping")[0] == 200, self.process)

    def exit_code(self):
        """Wait for the end."""
        return self.process.wait(timeout=DEADLINE_IN_SECONDS)


@contextmanager
def serving(*arguments, **environment):
    """A server that is ended whatever happens."""
    server = Server(*arguments, **environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
        server.exit_code()
