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

from image_test.container_engine import (
    IMAGE,
    ContainerEngine,
    engine_with_image,
    files_of_layers,
)

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "modernbert_dispute_classifier" / "final"
DEADLINE_IN_SECONDS = 120
MAX_CODE_IN_BYTES = 2**20
# Without CUDA it has 1.614 GB, of which 0.248 are the stand-in base, 1.36 the packages with torch
# 2.13.0, and 0.0016 the kernels and the code.
MAX_SIZE_WITHOUT_CUDA_IN_BYTES = 1.75e9

# What must not get into the image stands where a building machine keeps such things.
SECRET = "only-the-building-machine-knows-this"
SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "PIP_SECRET")
SECRET_FILES = (".env", "pip.conf", "src/.env")
NAMES_OF_SECRETS = re.compile(
    r"(^|/)(pip\.conf|\.env|\.netrc|\.pypirc|\.git-credentials|\.(aws|docker|ssh)/.*)$"
)
TOKENS = [
    re.compile(pattern)
    for pattern in (
        rb"A[KS]IA(?=[A-Z]{0,15}\d)[A-Z\d]{16}",
        rb"aws_secret_access_key\s*=\s*\S",
        rb"gh[opsu]_[A-Za-z\d]{36}",
        rb"hf_[A-Za-z]{34}",
        rb"pypi-AgE[\w-]{20}",
    )
]

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
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerEngine]:
    """An engine that has built the image, in a folder and an environment that hold secrets."""
    context = tmp_path_factory.mktemp("building") / "custom_container"
    shutil.copytree(ROOT / "custom_container", context)
    for name in SECRET_FILES:
        (context / name).write_text(SECRET)
    with pytest.MonkeyPatch.context() as patch:
        for name in SECRET_VARIABLES:
            patch.setenv(name, SECRET)
        with engine_with_image(context) as engine:
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


def test_no_layer_and_no_step_of_the_history_holds_a_secret(
    engine: ContainerEngine, tmp_path: Path
) -> None:
    """Layers that hide a file of another one are pushed with it."""
    archive = tmp_path / "image.tar"
    engine("save", "--output", str(archive), IMAGE)

    found = set()
    for name, content in files_of_layers(archive):
        is_secret = NAMES_OF_SECRETS.search(name) or SECRET.encode() in content
        # An empty file is where the building machine's own was mounted.
        if content and (is_secret or any(token.search(content) for token in TOKENS)):
            found.add(name)
    archive.unlink()

    assert found == set()


def test_no_step_of_the_history_names_a_setting_of_the_building_machine(
    engine: ContainerEngine,
) -> None:
    """Neither pip's nor AWS's, as a build argument would."""
    history = engine("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE)

    assert re.findall(r"\b(?:PIP|AWS)_\w+", history) == []


def test_the_image_without_cuda_is_small(engine: ContainerEngine, container: str) -> None:
    """Each job pulls it before it starts."""
    has_cuda = "import torch; print(torch.version.cuda is not None)"
    if engine("exec", container, "python3", "-c", has_cuda) == "True\n":
        pytest.skip("The bound is that of an image without CUDA.")

    assert engine.inspect("image", IMAGE)["Size"] < MAX_SIZE_WITHOUT_CUDA_IN_BYTES


def test_nvidias_variables_are_set(engine: ContainerEngine, container: str) -> None:
    """NVIDIA's runtime gives the container all GPUs, and of the driver what computing needs."""
    variables = engine("exec", container, "env").splitlines()

    assert "NVIDIA_VISIBLE_DEVICES=all" in variables
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in variables


def test_the_server_runs_without_any_capability(engine: ContainerEngine, container: str) -> None:
    """Nor could it, or whatever is run beside it, get one back."""
    status = engine("exec", container, "cat", "/proc/1/status", "/proc/self/status")

    held = re.findall(r"^Cap\w+:\s+([0-9a-f]+)$", status, flags=re.MULTILINE)
    assert len(held) == 2 * len(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert {int(capabilities, 16) for capabilities in held} == {0}
    assert re.findall(r"^NoNewPrivs:\s+(\d)$", status, flags=re.MULTILINE) == ["1", "1"]


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
