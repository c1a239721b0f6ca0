"""The failures a caller is expected to meet, each saying what to do next. Knows no exit codes."""


class BatchTransformError(Exception):
    """Base of every failure this package expects; its text is meant for the operator."""


class InvalidSettings(BatchTransformError):
    """Values that AWS or we would refuse, all of them at once, before anything was sent."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = list(dict.fromkeys(problems))  # one flag can go into two fields
        super().__init__("\n".join(self.problems))


class InvalidModelFolder(BatchTransformError):
    """A model folder that the container could not serve."""


class InvalidInput(BatchTransformError):
    """Input in S3 that cannot become a job: nothing there, or lines that are not text."""


class InputChanged(InvalidInput):
    """Input that was changed or deleted while it was read: read anew, it can become a job."""


class RefusedRequest(BatchTransformError):
    """A message that asks for what cannot or may not be done, whenever it is asked."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class NotYet(BatchTransformError):
    """A request that cannot be carried out now; the same request can be later."""


class AwsRefused(BatchTransformError):
    """AWS answered with an error, or could not be reached."""


class StackFailed(BatchTransformError):
    """CloudFormation could not make, change or delete a stack."""


class StackGoesOn(BatchTransformError):
    """The operator stopped watching a stack; CloudFormation goes on with it."""


class JobFailed(BatchTransformError):
    """A transform job ended as Failed or Stopped."""


class JobMayRun(BatchTransformError):
    """The job runs, or may run: what it reads must stay."""


class WatchInterrupted(JobMayRun):
    """The watching ended before the job, which goes on; *reason* is for other ends than Ctrl-C."""

    def __init__(self, job_name: str, reason: str = "") -> None:
        told = f"{reason}\n" if reason else ""
        status_script = f"python check_batch_transform_status.py --job-name {job_name}"
        super().__init__(
            f"{told}no longer watching; the job {job_name}, unless it has ended, "
            "goes on and is billed.\n"
            f"watch it: {status_script} --watch\n"
            f"stop it:  {status_script} --stop"
        )


class IncompleteOutput(BatchTransformError):
    """The answers of a job are not exactly one for each record that was packed."""
