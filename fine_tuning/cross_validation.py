"""Measures a recipe rather than a model: trains it several times, each time on other rows.

Knows folds and what is done with each. Does not know how training or measuring goes.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers import TrainerCallback

from fine_tuning.base_model import segment_separator, starting_model
from fine_tuning.columns import Columns
from fine_tuning.data_split import stratified_folds, stratified_split
from fine_tuning.errors import FineTuningError
from fine_tuning.evaluation import evaluate_classifier
from fine_tuning.labelled_texts import read_training_file
from fine_tuning.measures import Measures
from fine_tuning.training import train_classifier
from fine_tuning.training_run import VALIDATION_SHARE, calibrate
from fine_tuning.training_settings import TrainingSettings


def cross_validate(
    file: Path,
    columns: Columns,
    base_model: str | None,
    settings: TrainingSettings,
    folds: int,
    *,
    callbacks: Sequence[TrainerCallback] = (),
) -> Iterator[tuple[str, Measures]]:
    """Yields each fold's name and measures as soon as they are known.

    ``callbacks`` watch the training of every fold. A fold's own held-out rows choose neither its
    epoch nor its temperature: a tenth of its training rows does.
    """
    labelled = read_training_file(file, columns.parted_by(segment_separator(base_model)))
    problem = labelled.problem
    if folds > len(labelled.examples):
        raise FineTuningError(
            f"{file} has {len(labelled.examples)} rows, too few for {folds} folds. Give a smaller "
            "--folds, or more rows."
        )
    parts = stratified_folds(labelled.examples, problem, folds, settings.seed)
    for number, (rows, held_out) in enumerate(parts, start=1):
        training, validation = stratified_split(rows, problem, VALIDATION_SHARE, settings.seed)
        texts = [example.text for example in training]
        model, tokenizer = starting_model(base_model, problem, texts, settings.seed)
        with tempfile.TemporaryDirectory() as folder:
            train_classifier(
                *(model, tokenizer, training, validation, settings),
                checkpoint_dir=Path(folder),
                run_digest=f"fold {number}",
                callbacks=callbacks,
            )
        calibrate(model, tokenizer, validation)
        yield f"fold {number}", evaluate_classifier(model, tokenizer, held_out).measures
