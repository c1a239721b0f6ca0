"""The image that custom_container/Dockerfile builds, run as SageMaker runs it.

Without network, on a read-only file system, with no capability and one model mounted.
"""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from image_test.container_engine import IMAGE, ContainerEngine, engine_with_image

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "modernbert_dispute_classifier" / "final"
DEADLINE_IN_SECONDS = 120
MAX_CODE_IN_BYTES = 2**20

ASK = """
import base64, http.client, json, sys
method, path, body = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
connection.request(method, path, base64.b64decode(body), {"Content-Type": "text/plain"})
response = connection.getresponse()
print(json.dumps([response.status, response.read().decode()]))
"""
PING_UNTIL_200 = """
import http.client, sys, time
deadline = time.monotonic() + float(sys.argv[1])
status = None
while status != 200:
    if time.monotonic() > deadline:
        sys.exit(f"/ping answers {status}")
    time.sleep(0.1)
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    try:
        connection.request("GET", "/ping")
        status = connection.getresponse().status
    except OSError as not_listening_yet:
        status = not_listening_yet
"""
ASK_SLOWLY = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
connection.putrequest("POST", "/invocations")
connection.putheader("Content-Type", "text/plain")
connection.putheader("Content-Length", "11")
connection.endheaders(b"unpaid ")
print("half sent", flush=True)
sys.stdin.readline()
connection.send(b"rent")
response = connection.getresponse()
print(response.status, response.read().decode(), flush=True)
"""

COMPILE = """
import torch
from src.cpu_operations import compile_kernels
compile_kernels(torch.bfloat16, quantizes=True)
"""
OPENMP = "import torch; from numba.np.ufunc import omppool; print(open('/proc/self/maps').read())"


@pytest.fixture(scope="session")
def engine() -> Iterator[ContainerEngine]:
    """An engine that has built the image."""
    with engine_with_image(ROOT / "custom_container") as engine:
        yield engine


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration model, readable for the image's user, as it is packaged."""
    folder = shutil.copytree(MODEL, tmp_path_factory.mktemp("model") / "model")
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


@pytest.fixture(scope="session")
def container(engine: ContainerEngine, model_dir: Path) -> Iterator[str]:
    """A container that has loaded the demonstration model."""
    with engine.running(model_dir) as container:
        wait_until_loaded(engine, container)
        yield container


def ask(
    engine: ContainerEngine, container: str, method: str, path: str, body: bytes = b""
) -> tuple[int, str]:
    """Status and body of one request, sent from within, for no network leads in."""
    encoded = base64.b64encode(body).decode()
    status, answer = json.loads(
        engine("exec", container, "python3", "-c", ASK, method, path, encoded)
    )
    return status, answer


def wait_until_loaded(engine: ContainerEngine, container: str) -> None:
    """Ping from within until 200; a process for each ping would take the cores from the loading."""
    try:
        engine("exec", container, "python3", "-c", PING_UNTIL_200, str(DEADLINE_IN_SECONDS))
    except RuntimeError as error:
        pytest.fail(f"{error}\n{engine.logs(container)}")


def layer_size(line: str) -> float:
    """Bytes of a line such as "1.2 MB COPY …" (podman) or "12.3kB COPY …" (docker)."""
    number, unit = re.match(r"([\d.]+) ?([kKMG]?B) ", line).groups()
    return float(number) * {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


@pytest.fixture(scope="session")
def configuration(engine: ContainerEngine) -> dict[str, Any]:
    """The image's configuration."""
    return engine.inspect("image", IMAGE)["Config"]


def test_kernels_and_torch_share_one_openmp(engine: ContainerEngine, container: str) -> None:
    """Without it numba falls back to threads of its own, which are slower."""
    maps = engine("exec", container, "python3", "-c", OPENMP)

    assert len(set(re.findall(r"\S*libgomp\S*", maps))) == 1


def test_no_container_compiles_the_kernels_of_a_cpu(
    engine: ContainerEngine, container: str
) -> None:
    """The image brings those for this CPU, and they are read where nothing can be written."""
    done = engine("exec", container, "env", "NUMBA_DEBUG_CACHE=1", "python3", "-c", COMPILE)

    assert "data loaded" in done
    assert "data saved" not in done


def test_the_image_is_started_as_sagemaker_starts_it(configuration: dict[str, Any]) -> None:
    """Exec form, port 8080, not as root."""
    assert configuration["Entrypoint"][0] == "gunicorn"
    assert "8080/tcp" in configuration["ExposedPorts"]
    assert configuration["User"] == "1000:1000"


def test_no_configuration_of_the_building_machine_is_left(
    configuration: dict[str, Any], engine: ContainerEngine, container: str
) -> None:
    """No variable, index or wheel of the build is in the image."""
    names = [variable.partition("=")[0] for variable in configuration["Env"]]
    assert [name for name in names if name.startswith(("PIP_", "AWS_", "TORCH_INDEX"))] == []
    found = engine(
        *("exec", container, "sh", "-c"),
        "cat /etc/pip.conf 2>/dev/null; find /wheels /build -type f 2>/dev/null; true",
    )
    assert found == ""


def test_a_change_of_code_is_a_push_of_kilobytes(engine: ContainerEngine) -> None:
    """Above the layers of the packages and the kernels lies the code alone."""
    history = engine("history", "--no-trunc", "--format", "{{.Size}} {{.CreatedBy}}", IMAGE)
    newest_first = history.splitlines()
    code = list(takewhile(lambda line: not re.search(r"COPY .* kernels\b", line), newest_first))
    assert 0 < len(code) < len(newest_first)
    assert sum(map(layer_size, code)) < MAX_CODE_IN_BYTES


def test_the_container_can_neither_write_nor_be_root(
    engine: ContainerEngine, container: str
) -> None:
    """It runs as user 1000 on a file system that is read-only."""
    done = engine("exec", container, "sh", "-c", "id -u; touch /opt/program/x 2>&1 || true")
    assert done.startswith("1000\n")
    assert "Read-only file system" in done


def test_each_line_is_answered_on_its_own_line(engine: ContainerEngine, container: str) -> None:
    """A document, a blank line and another document."""
    body = b"My employer has not paid my wages.\n\nThe landlord keeps my deposit.\n"

    status, answer = ask(engine, container, "POST", "/invocations", body)

    lines = [json.loads(line) for line in answer.split("\n")]
    assert status == 200
    assert [list(line) for line in lines] == [["predictions"], ["error"], ["predictions"]]


def test_the_job_is_told_what_to_send(engine: ContainerEngine, container: str) -> None:
    """/execution-parameters in SageMaker's words."""
    status, answer = ask(engine, container, "GET", "/execution-parameters")

    assert status == 200
    assert json.loads(answer)["BatchStrategy"] == "MULTI_RECORD"


def test_sigterm_lets_a_request_in_flight_finish(engine: ContainerEngine, model_dir: Path) -> None:
    """A request half sent when SIGTERM comes is answered, and the container exits with 0."""
    with engine.running(model_dir) as container:
        wait_until_loaded(engine, container)
        # A neighbour in the same network, which outlives the container.
        client = engine.popen(
            *("run", "--rm", "--interactive", "--network", f"container:{container}"),
            *(*engine.limits, "--entrypoint", "python3", IMAGE, "-c", ASK_SLOWLY),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert client.stdout.readline() == "half sent\n"
        assert ask(engine, container, "GET", "/ping")[0] == 200
        engine("kill", "--signal", "TERM", container)
        answer, _ = client.communicate("go on\n", timeout=DEADLINE_IN_SECONDS)

        assert answer.startswith('200 {"predictions"')
        assert engine.wait(container) == 0
        assert '"job": "ended"' in engine.logs(container)


def test_a_model_that_cannot_load_ends_the_container(
    engine: ContainerEngine, tmp_path: Path
) -> None:
    """It exits non-zero with the reason as its last line, instead of being pinged for long."""
    tmp_path.chmod(0o755)
    with engine.running(tmp_path) as container:
        assert engine.wait(container) != 0
        assert "lacks config.json" in engine.logs(container).splitlines()[-1]
