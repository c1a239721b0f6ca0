"""A server under load, in short; `make load-test` is the long form."""

from tests.custom_container.container_server import serving
from tests.custom_container.load import EQUAL, put_load


def test_mixed_requests_at_saturation_are_all_answered(container_dir, model_dir, tmp_path):
    """Ten clients at once, for three seconds: every request gets each of its lines."""
    with serving(container_dir, model_dir, tmp_path / "log") as server:
        server.wait_until_loaded()
        load = put_load(server, seconds=3)

    assert load.failures == []
    assert load.requests[EQUAL.kind] == len(load.seconds_of_equal_requests) > 0
    assert min(load.memory_in_bytes) > 0
