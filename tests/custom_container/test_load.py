"""A server under load, in short; `make load-test` is the long form."""

import pytest

from tests.custom_container.container_server import serving
from tests.custom_container.load import EQUAL, Load, put_load

MIB = 2**20


def test_mixed_requests_at_saturation_are_all_answered(container_dir, model_dir, tmp_path):
    """Ten clients at once, for three seconds: every request gets each of its lines."""
    with serving(container_dir, model_dir, tmp_path / "log") as server:
        server.wait_until_loaded()
        load = put_load(server, seconds=3)

    assert load.failures == []
    assert len(load.seconds_of) > 10
    assert min(load.memory_in_bytes) > 0


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, []),
        ({"failures": ["one: 500"]}, ["requests that failed"]),
        ({"memory_in_bytes": [1, 100, 104, 107]}, ["memory change after warm-up"]),
        ({"memory_in_bytes": [1, 100, 94, 100]}, ["memory change after warm-up"]),
        ({"memory_in_bytes": [1, 100, 104, 96]}, []),
        (
            {"seconds_of": [(EQUAL.kind, 0.1)] * 90 + [(EQUAL.kind, 0.4)] * 10},
            ["equal requests, p99 / median"],
        ),
        ({"seconds_of": [(EQUAL.kind, 0.1)] * 90 + [("long", 9.0)] * 10}, []),
    ],
)
def test_each_limit_has_its_verdict(changes, failed):
    """Failures, memory after the first quarter, and how unequally equal requests were served."""
    flat = {"seconds_of": [(EQUAL.kind, 0.1)] * 100, "memory_in_bytes": [100 * MIB] * 8}

    findings = Load(**(flat | changes)).findings()

    assert [finding.what for finding in findings if finding.holds is False] == failed
