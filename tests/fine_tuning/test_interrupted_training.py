"""What is said and left on the terminal where training ends before its end."""

import contextlib
import errno
import io

import pytest
from transformers import TrainerState

from fine_tuning import demonstration_commands, evaluation_commands, training_commands
from fine_tuning.command_line import main
from fine_tuning.output_options import watched_training

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
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


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_an_interrupted_bar_gives_the_cursor_back(terminal, tmp_path):
    """It is hidden while the bar moves."""
    with (
        contextlib.redirect_stderr(terminal),
        contextlib.suppress(ValueError),
        watched_training(tmp_path / "final", None) as progress,
    ):
        progress.on_train_begin(None, TrainerState(max_steps=3), None)
        raise ValueError
    assert terminal.getvalue().endswith(SHOW_CURSOR)


def test_the_bar_of_an_interrupted_fold_gives_the_cursor_back(terminal, monkeypatch):
    """Each fold shows a bar of its own."""

    def interrupted(*_arguments, callbacks):
        (progress,) = callbacks
        for _fold in range(2):
            progress.on_train_begin(None, TrainerState(max_steps=3), None)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation_commands, "cross_validate", interrupted)
    with contextlib.redirect_stderr(terminal), pytest.raises(SystemExit):
        main(["evaluate", "--test", "x.csv", "--folds", "2", "--from-scratch", "tiny"])
    last_drawn = terminal.getvalue().rpartition(SHOW_CURSOR)[0].rpartition("\x1b[2K")[2]
    assert last_drawn.count("0/3") == 1
    assert HIDE_CURSOR not in terminal.getvalue().rpartition(SHOW_CURSOR)[2]
