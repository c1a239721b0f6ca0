"""How counted things are written in messages, tables and pages."""


def counted(count: int, noun: str) -> str:
    """Return `1 file`, `0 files` or `2,000 files`, for nouns whose plural takes an s."""
    return f"{count:,} {noun}" + "s" * (count != 1)
