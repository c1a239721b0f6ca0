"""What is said and left on the terminal where training ends before its end."""

import contextlib
import errno
import io

import pytest
from transformers import TrainerState

from fine_tuning import demonstration_commands, training_commands
from fine_tuning.output_options import watched_training

SHOW_CURSOR = "\x1b[?25h"
COMMANDS = {
    "demonstration-model": (demonstration_commands, "make_demonstration_model", ()),
    "train": (training_commands, "train_and_write", ("--from-scratch", "tiny")),
}


@pytest.fixture(params=COMMANDS)
def run_until(request, fine_tuning, monkeypatch, disputes_file):
    """Runs one of the commands that train, until its training ends by an error."""
    module, trains, start = COMMANDS[request.param]
    data = ("--train", disputes_file) if start else ()

    def run(error, output_dir):
        def end_early(*_arguments, **_options):
            raise error

        monkeypatch.setattr(module, trains, end_early)
        return fine_tuning(request.param, *data, *start, "--output-dir", output_dir)

    return run


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (KeyboardInterrupt(), "Repeat the command to go on from the last checkpoint in"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
    ],
    ids=["Ctrl-C", "full disk"],
)
def test_a_training_that_ends_early_says_how_to_go_on(run_until, tmp_path, error, sentence):
    """By each command that trains, with the folder in which the checkpoints lie."""
    ended = run_until(error, tmp_path / "final")
    assert ended.exit_code == 1
    assert sentence in ended.stderr
    assert str(tmp_path / "final.checkpoints") in ended.stderr


class Terminal(io.StringIO):
    """Where a bar is drawn."""

    def isatty(self):
        """Tell that somebody looks."""
        return True


def test_an_interrupted_bar_gives_the_cursor_back(monkeypatch, tmp_path):
    """It is hidden while the bar moves."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with (
        contextlib.redirect_stderr(terminal),
        contextlib.suppress(ValueError),
        watched_training(tmp_path / "final", None) as progress,
    ):
        progress.on_train_begin(None, TrainerState(max_steps=3), None)
        raise ValueError
    assert terminal.getvalue().endswith(SHOW_CURSOR)
