"""The template, as its linter and as the functions see it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batch_transform.request_delivery import HOURS_FOR_LAST_TRY, LONGEST_WAIT_IN_DAYS
from batch_transform.request_queue import DELAY_JITTER, LONGEST_DELAY_IN_SECONDS

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "lambda_batch_transform_template.yaml"
SKIPS = re.findall(r"checkov:skip=(\w+)(.*)", TEMPLATE.read_text())


def test_the_linter_finds_nothing() -> None:
    """cfn-lint knows every resource type's own schema."""
    linter = shutil.which("cfn-lint", path=Path(sys.executable).parent) or shutil.which("cfn-lint")
    if linter is None:
        pytest.skip("cfn-lint is not installed")
    finished = subprocess.run(
        [linter, str(TEMPLATE)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (finished.stdout, finished.returncode) == ("", 0)


def test_the_security_checks_find_nothing() -> None:
    """checkov has an environment of its own, which `make template-test` makes."""
    checkov = ROOT / ".venv-checkov" / "bin" / "checkov"
    if not checkov.exists():
        pytest.skip("checkov is not installed: make template-test")
    options = ["--framework", "cloudformation", "--quiet", "--output", "json", "--skip-download"]
    finished = subprocess.run(
        [checkov, "--file", str(TEMPLATE), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    report = json.loads(finished.stdout)
    failed = [(each["check_id"], each["resource"]) for each in report["results"]["failed_checks"]]
    assert (failed, finished.returncode) == ([], 0)
    assert report["summary"]["skipped"] == len(SKIPS)


def test_every_exception_from_a_check_has_its_reason() -> None:
    """`checkov:skip` stands beside the resource and says why."""
    assert SKIPS
    assert [check for check, reason in SKIPS if not re.match(r": \w+ \w+", reason)] == []


def test_a_message_whose_function_is_killed_each_time_outlives_its_last_try() -> None:
    """The function sets it aside then: after SQS's own receives it would be dropped in hours."""
    template = TEMPLATE.read_text()

    def value_of(name: str) -> int:
        return int(re.search(rf"{name}: (\d+)", template)[1])

    hidden = value_of("VisibilityTimeout")
    last_try_in_seconds = (LONGEST_WAIT_IN_DAYS * 24 + HOURS_FOR_LAST_TRY) * 3600
    assert hidden > max(map(int, re.findall(r" Timeout: (\d+)", template)))
    assert last_try_in_seconds + hidden < value_of("maxReceiveCount") * hidden
    assert last_try_in_seconds + hidden < value_of("MessageRetentionPeriod")


def test_the_functions_read_the_variables_that_the_template_sets() -> None:
    """A variable on one side alone would fail, or do nothing, only in production."""
    set_there = re.findall(r"^          ([A-Z_]+): !", TEMPLATE.read_text(), re.MULTILINE)
    handler = (ROOT / "lambda_batch_transform.py").read_text()
    assert sorted(set_there) == sorted(re.findall(r'variables\["([A-Z_]+)"\]', handler))


def test_the_metric_filter_reads_what_the_function_logs() -> None:
    """The field that it asks for, and takes; test_request_delivery.py shows that it is logged."""
    text = TEMPLATE.read_text()
    assert re.findall(r"\$\.(\w+)", text) == ["waited_in_seconds", "waited_in_seconds"]
    [published] = re.findall(r"MetricNamespace: (.+)\n +MetricName: (.+)", text)
    alarm = text[text.index("  WaitingRequestAlarm:") :]
    assert re.search(r"Namespace: (.+)\n +MetricName: (.+)", alarm).groups() == published
    longest_silence = LONGEST_DELAY_IN_SECONDS * (1 + DELAY_JITTER)
    assert int(re.search(r"Period: (\d+)", alarm)[1]) > longest_silence


def test_it_fits_into_a_request() -> None:
    """CloudFormation takes 51,200 bytes of template in the request itself."""
    assert len(TEMPLATE.read_bytes()) <= 51_200
