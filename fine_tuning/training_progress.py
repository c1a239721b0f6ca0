"""Shows a training run on a terminal: a progress bar, and a line of a table for each epoch.

Knows what the Trainer tells while it trains. Does not know how training is done. Where stderr is no
terminal the bar is left out, and each epoch's line is as the metric expressions of a SageMaker
training job expect it.
"""

from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging as transformers_logging

_WIDTH = 12


class TrainingProgress(TrainerCallback):
    """A callback for `train_classifier`; writes to ``stream``, else to stderr."""

    def __init__(self, stream: TextIO | None = None) -> None:
        # Two bars on one terminal would write over each other.
        transformers_logging.disable_progress_bar()
        self._console = Console(file=stream, stderr=True)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._training_loss = float("nan")
        self._has_header = False

    def on_train_begin(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: object
    ) -> None:
        """Starts the bar, at the step that a resumed run begins with; each training has its own."""
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._has_header = False
        self._task = self._bar.add_task("", total=state.max_steps, completed=state.global_step)
        self._bar.start()

    def on_step_end(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: object
    ) -> None:
        """Moves the bar."""
        self._bar.update(self._task, completed=state.global_step)

    def on_log(
        self,
        _args: TrainingArguments,
        _state: TrainerState,
        _control: TrainerControl,
        logs: Mapping[str, float],
        **_: object,
    ) -> None:
        """Keeps an epoch's training loss until its validation is known."""
        self._training_loss = logs.get("loss", self._training_loss)

    def on_evaluate(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        metrics: Mapping[str, float],
        **_: object,
    ) -> None:
        """Prints an epoch's line."""
        values = {
            "epoch": round(state.epoch, 2),
            "train_loss": self._training_loss,
            **{
                name: metrics[f"eval_{name}"]
                for name in ("loss", *self._measures(metrics))
                if f"eval_{name}" in metrics
            },
        }
        if self._console.is_terminal:
            self._print_row(values)
        else:
            line = " ".join(f"{name}={value:.6g};" for name, value in values.items())
            self._console.print(line, highlight=False, soft_wrap=True)

    def on_train_end(
        self, _args: TrainingArguments, _state: TrainerState, _control: TrainerControl, **_: object
    ) -> None:
        """Ends the bar."""
        self.stop()

    def stop(self) -> None:
        """Ends the bar where training did not come to its end, and shows the cursor again."""
        self._bar.stop()

    def _measures(self, metrics: Mapping[str, float]) -> list[str]:
        own = ("accuracy", "macro_f1", "exact_match", "mean_absolute_error", "r2")
        return [name for name in own if f"eval_{name}" in metrics]

    def _print_row(self, values: Mapping[str, float]) -> None:
        if not self._has_header:
            self._console.print("".join(f"{name[:_WIDTH]:>{_WIDTH + 1}}" for name in values))
            self._has_header = True
        self._console.print(
            "".join(f"{value:>{_WIDTH + 1}.4g}" for value in values.values()), highlight=False
        )
