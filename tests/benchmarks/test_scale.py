"""What the rows of the scale benchmark are made to say."""

from typing import Any

from benchmarks.scale import as_table_row, conclusions, measure


def row(records: int, seconds: float) -> dict[str, Any]:
    """Return a measurement of so many records."""
    rate = round(records / seconds)
    return {
        "records": records,
        "seconds": seconds,
        "cpu_seconds": seconds / 2,
        "records_per_second": rate,
        "peak_memory_in_mb": 80,
    }


def test_growth_and_the_ratio_follow_from_the_rows() -> None:
    """A start that every run has is in no slope: 10 ms a request against 0.5 ms a packed file."""
    told = conclusions(
        {
            "pack": [row(10_000, 4.8), row(100_000, 50)],
            "lines": [row(500, 1), row(5000, 11)],
            "consolidate": [row(500, 1), row(5000, 10)],
            "requests": [row(1000, 13), row(2000, 23), row(4000, 43)],
        }
    )
    assert "packing is 20.0 times as fast" in told
    assert "pack lines of one file: 10.0 x the records, 11.00 x the time, 11.00 x the" in told


def test_a_row_stands_in_the_table() -> None:
    """What was not measured of it is left empty."""
    whole = as_table_row("pack", row(10_000, 5.0))
    assert whole == "| pack | 10,000 | 5.00 | 2.5 | 2,000 | 80 |"
    few = {"records": 4, "seconds": 2.0, "records_per_second": 2}
    assert as_table_row("requests", few) == "| requests | 4 | 2.00 |  | 2 |  |"


def test_files_that_are_made_up_are_each_packed_once() -> None:
    """More files than one page of a listing holds; the stand-in counts what the shards bring."""
    assert measure("made-up", 1_200)["records"] == 1_200
