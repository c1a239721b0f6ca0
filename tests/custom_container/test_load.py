"""A server under load, in short; `make load-test` is the long form."""

from math import isqrt

import pytest

from local_aws.container_image import ContainerImage
from src.device_memory import CPU_TOKENS
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


def test_compiled_products_are_kept_for_one_row_and_not_for_all(container_dir):
    """Two for each length of document that a row can hold, and some for the row; each is memory."""
    lengths = (isqrt(8 * CPU_TOKENS + 1) - 1) // 2  # 1 + 2 + 3 … tokens fit
    environment = ContainerImage.of_folder(container_dir).environment

    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        assert 2 * lengths + 16 <= int(environment[cache]) <= 256


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
