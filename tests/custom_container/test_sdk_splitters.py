"""However the SageMaker SDK's own classes divide a file, the container reads the same records.

They live in an environment of their own, which `make sdk-test` installs.
"""

import base64
import subprocess
from pathlib import Path

import pytest

from src.documents import Document
from src.inference import input_fn

ROOT = Path(__file__).parents[2]
SDK_PYTHON = ROOT / ".venv-sagemaker-sdk" / "bin" / "python"
COMPLAINTS = ROOT.parent / "shared" / "data" / "cfpb_complaints.txt"
WINDOWS_LINE_ENDS = ROOT / "sample_documents" / "2026-02-scanned-on-windows.txt"
ODD_CHARACTERS = ROOT / "sample_documents" / "2026-06-web-form.txt"
DIVIDE = """
import base64, sys
from sagemaker.core.local.data import get_batch_strategy_instance, get_splitter_instance
file, split_type, strategy, payload_in_mb = sys.argv[1:]
splitter = get_splitter_instance(split_type)
for body in get_batch_strategy_instance(strategy, splitter).pad(file, float(payload_in_mb)):
    print(base64.b64encode(body if isinstance(body, bytes) else body.encode()).decode())
"""

pytestmark = pytest.mark.skipif(
    not SDK_PYTHON.exists(), reason="the SageMaker SDK is not installed: make sdk-test"
)


@pytest.fixture(
    scope="module",
    params=[COMPLAINTS, WINDOWS_LINE_ENDS, ODD_CHARACTERS],
    ids=lambda path: path.name,
)
def file(request):
    """A text file, one document a line."""
    if not request.param.exists():
        pytest.skip(f"{request.param.name} is not there")
    return request.param


def records(file, split_type, strategy, payload_in_mb):
    """What the container reads of the bodies that the SDK makes of a file, and their number."""
    divided = subprocess.run(
        [SDK_PYTHON, "-c", DIVIDE, file, split_type, strategy, str(payload_in_mb)],
        capture_output=True,
        text=True,
        check=True,
    )
    bodies = [base64.b64decode(line) for line in divided.stdout.splitlines()]
    return [record for body in bodies for record in input_fn(body, "text/plain")], len(bodies)


def test_one_record_a_request_many_or_the_whole_file_are_the_same_records(file):
    """SingleRecord, MultiRecord, a payload that holds only a few records, and no splitting."""
    one_by_one, requests = records(file, "Line", "SingleRecord", 6)
    together, few_requests = records(file, "Line", "MultiRecord", 6)
    small, more_requests = records(file, "Line", "MultiRecord", 0.05)
    whole, single_request = records(file, "None", "SingleRecord", 6)

    lines = file.read_bytes().removesuffix(b"\n").split(b"\n")
    assert one_by_one == together == small == whole
    assert len(one_by_one) == requests == len(lines)
    assert any(isinstance(record, Document) for record in one_by_one)
    assert few_requests <= more_requests <= requests
    assert single_request == 1
