"""When training stops before its last epoch: after so many without a better measure.

Knows the Trainer's log alone and counts afresh in it each time, so a run that is resumed stops
where an unbroken one does. Does not know how a measure is taken.
"""

from collections.abc import Mapping, Sequence

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class EarlyStopping(TrainerCallback):
    """Ends training after ``patience`` epochs without a better ``metric_for_best_model``."""

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Asks for the end."""
        if self.has_ended(state, args):
            control.should_training_stop = True

    def has_ended(self, state: TrainerState, args: TrainingArguments) -> bool:
        """Whether a run with this log goes no further."""
        measures = _measures(state.log_history, f"eval_{args.metric_for_best_model}")
        if not measures:
            return False
        best = max(measures) if args.greater_is_better else min(measures)
        return len(measures) - 1 - measures.index(best) >= self._patience


def _measures(log_history: Sequence[Mapping[str, float]], name: str) -> list[float]:
    return [entry[name] for entry in log_history if name in entry]
