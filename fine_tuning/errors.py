"""The one error that a user of fine_tuning can mend; the command line turns it into exit code 1."""


class FineTuningError(Exception):
    """Says what was being done, what was wrong with it, and what to do next."""
