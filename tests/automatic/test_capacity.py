"""More requests than machines: each runs once, as a machine comes free, and none is given up."""

import json
import os

from .conftest import QUOTA, Site, until

REQUESTS = int(os.environ.get("AUTOMATIC_REQUESTS", "12"))
SECONDS_A_REQUEST = 4


def test_every_request_runs_once_though_the_quota_is_two(site: Site) -> None:
    """
    One request in ten is poison: those are the dead letters, and all others have their results.

    AUTOMATIC_REQUESTS asks for more of them, 200 for the figure in the documentation.
    """
    site.drain_dead_letters()
    path = site.put_input(a=b"contract one\n")
    bodies = [
        {"input_path": path if number % 10 else "s3://foreign/", "request_id": f"many-{number}"}
        for number in range(REQUESTS)
    ]
    good = [body for body in bodies if body["input_path"] == path]
    poison = [body for body in bodies if body not in good]
    for body in bodies:
        site.send(body)
    dead: dict[str, str | None] = {}
    most_at_once = 0

    def are_settled() -> bool:
        nonlocal most_at_once
        dead.update(site.drain_dead_letters())
        statuses = [job["TransformJobStatus"] for job in site.jobs("-many-")]
        most_at_once = max(most_at_once, statuses.count("InProgress"))
        is_all = statuses.count("Completed") == len(good) and len(dead) == len(poison)
        return is_all and all(
            site.exists(f"output/{site.job_name(body['request_id'])}/summary.json") for body in good
        )

    until(are_settled, "every request is settled", seconds=SECONDS_A_REQUEST * REQUESTS)

    names = [job["TransformJobName"] for job in site.jobs("-many-")]
    assert sorted(names) == sorted(site.job_name(body["request_id"]) for body in good)
    assert set(dead) == {json.dumps(body) for body in poison}
    assert 1 <= most_at_once <= QUOTA
