"""The folder a run keeps its checkpoints in, and whether a checkpoint is this run's own.

Knows names and digests. Does not know what the files of a checkpoint hold.
"""

import shutil
from pathlib import Path

from fine_tuning.errors import FineTuningError

_RUN_FILE = "run.sha256"
_FILES = (
    *("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
    "trainer_state.json",
)
"""What the Trainer writes on one machine. A kill cuts short, and so does a copy that a SageMaker
job makes: the order in which files reach S3 is not the one in which they were written."""


def checkpoint_to_resume(folder: Path, run_digest: str) -> Path | None:
    """The newest whole checkpoint in ``folder``, None where there is none yet.

    ``run_digest`` tells data, base model and settings; FineTuningError where the checkpoints are
    those of another run.
    """
    run_file = folder / _RUN_FILE
    if run_file.exists() and run_file.read_text() != run_digest:
        raise FineTuningError(
            f"{folder} holds checkpoints of a run with other data or settings. Repeat that run's "
            "command to finish it, remove the folder, or give another --checkpoint-dir."
        )
    folder.mkdir(parents=True, exist_ok=True)
    run_file.write_text(run_digest)
    whole = [
        path
        for path in folder.glob("checkpoint-*")
        if all((path / name).is_file() for name in _FILES)
    ]
    return max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)


def checkpoint_dir_beside(output_dir: Path) -> Path:
    """Where checkpoints lie unless the user says otherwise."""
    folder = output_dir.resolve()
    return folder.with_name(f"{folder.name}.checkpoints")


def remove_checkpoints(folder: Path, *, with_folder: bool) -> None:
    """Removes what a finished run no longer needs, and nothing else that lies there.

    ``with_folder`` removes the folder too where nothing else lies there. A folder that was given
    stays: it may be a mount.
    """
    for path in folder.glob("checkpoint-*"):
        shutil.rmtree(path)
    (folder / _RUN_FILE).unlink(missing_ok=True)
    if with_folder and not any(folder.iterdir()):
        folder.rmdir()
