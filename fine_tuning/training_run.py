"""One run of training: data that were checked, a model to start from, a folder that is written.

Knows the order of the steps: train, calibrate, measure, draw, write. Everything a user can have
wrong in the data is refused by `TrainingData.read`, before a model is loaded.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback

from fine_tuning import pictures
from fine_tuning.base_model import segment_separator, starting_model
from fine_tuning.calibration import DOUBT, fitted_temperature
from fine_tuning.checkpoints import checkpoint_dir_beside, remove_checkpoints
from fine_tuning.columns import Columns
from fine_tuning.data_split import stratified_split
from fine_tuning.duplicates import Duplicate, duplicates_across
from fine_tuning.errors import FineTuningError
from fine_tuning.evaluation import TEMPERATURE, Evaluation, document_logits, evaluate_classifier
from fine_tuning.labelled_texts import (
    LabelledText,
    read_examples,
    read_training_file,
)
from fine_tuning.measures import Measures, RegressionMeasures, measured
from fine_tuning.model_card import model_card
from fine_tuning.model_folder import replaced_model_folder, write_model_folder
from fine_tuning.problem_types import MultiLabel, ProblemType, problem_type_of
from fine_tuning.training import train_classifier
from fine_tuning.training_settings import TrainingSettings

VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class TrainingFiles:
    """Where the labelled texts lie."""

    train: Path
    validation: Path | None = None
    """None holds out a tenth of the training file."""
    test: Path | None = None
    """Measured once, after everything else is done."""


@dataclass(frozen=True)
class TrainingData:
    """Checked rows, the problem they pose, and what the model card says of them."""

    title: str
    about: str
    problem: ProblemType
    training: list[LabelledText]
    validation: list[LabelledText]
    test: list[LabelledText]

    @classmethod
    def read(
        cls, files: TrainingFiles, columns: Columns, base_model: str | None, seed: int
    ) -> "TrainingData":
        """Reads and checks every file, whose segments the base model's separator will part."""
        columns = columns.parted_by(segment_separator(base_model))
        labelled = read_training_file(files.train, columns)
        if files.validation:
            training = labelled.examples
            validation = read_examples(files.validation, columns, labelled.problem)
        else:
            training, validation = stratified_split(
                labelled.examples, labelled.problem, VALIDATION_SHARE, seed
            )
        test = read_examples(files.test, columns, labelled.problem) if files.test else []
        return cls(
            title=f"{files.train.stem}: {labelled.problem.name.replace('_', ' ')}",
            about=_about(files, columns, base_model, len(training)),
            problem=labelled.problem,
            training=training,
            validation=validation,
            test=test,
        )

    @cached_property
    def duplicates(self) -> dict[str, list[Duplicate]]:
        """Held-out texts that were also trained on, by the name of the held-out part."""
        return {
            name: found
            for name, held_out in (("validation", self.validation), ("test", self.test))
            if (found := duplicates_across(self.training, held_out))
        }


@dataclass(frozen=True)
class FinishedRun:
    """What a run left behind besides the folder: its measures by name of data set."""

    measured_on: dict[str, Measures]
    calibration: str
    """A sentence on the temperature and what it was worth; empty for a regression."""


def train_and_write(
    data: TrainingData,
    base_model: str | None,
    settings: TrainingSettings,
    *,
    output_dir: Path,
    checkpoint_dir: Path | None,
    callbacks: Sequence[TrainerCallback] = (),
) -> FinishedRun:
    """Trains, calibrates on the validation rows, measures and writes ``output_dir``.

    ``base_model`` None starts from a small untrained model. Raises FineTuningError for a base
    model that cannot be loaded. Checkpoints lie beside ``output_dir`` where ``checkpoint_dir`` is
    None, and are removed when all the rest is done.
    """
    checkpoints = checkpoint_dir or checkpoint_dir_beside(output_dir)
    texts = [example.text for example in data.training]
    model, tokenizer = starting_model(base_model, data.problem, texts, settings.seed)
    history = train_classifier(
        *(model, tokenizer, data.training, data.validation, settings),
        checkpoint_dir=checkpoints,
        run_digest=_digest(data, base_model, settings),
        callbacks=callbacks,
    )
    uncalibrated = calibrate(model, tokenizer, data.validation)
    held_out = {"validation": data.validation} | ({"test": data.test} if data.test else {})
    evaluations = {
        name: evaluate_classifier(model, tokenizer, examples) for name, examples in held_out.items()
    }
    measured_on = {name: evaluation.measures for name, evaluation in evaluations.items()}
    calibration = _calibration(model, uncalibrated, evaluations["validation"].measures)
    caveats = _caveats(data, model, evaluations["validation"], calibration)
    card = model_card(data.title, f"{data.about}\n\n{caveats}", measured_on)
    kept = {"validation before calibration": uncalibrated} if calibration else {}
    metrics = {name: asdict(measures) for name, measures in (kept | measured_on).items()}
    metrics["epochs"] = history.epochs
    with replaced_model_folder(output_dir) as folder:
        write_model_folder(folder, model, tokenizer, metrics, card)
        pictures.draw_training_curve(history, data.problem, folder)
        problem = problem_type_of(model.config)
        pictures.draw_answers(problem, data.validation, evaluations["validation"], folder)
        pictures.draw_calibration(uncalibrated, evaluations["validation"].measures, folder)
    remove_checkpoints(checkpoints, with_folder=checkpoint_dir is None)
    return FinishedRun(measured_on, calibration)


def calibrate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    validation: Sequence[LabelledText],
) -> Measures:
    """Puts the temperature into the model's config; the measures as they were without it.

    FineTuningError for a model whose weights or answers are no numbers any more.
    """
    problem = problem_type_of(model.config)
    labels = [example.label for example in validation]
    logits = document_logits(model, tokenizer, [example.text for example in validation])
    if not all(torch.isfinite(values).all() for values in (logits, *model.parameters())):
        raise FineTuningError(
            "Training ended with a model whose weights or answers are not finite: it diverged. No "
            "model was written. Train again with a smaller --learning-rate."
        )
    temperature = fitted_temperature(problem, logits, problem.targets(labels))
    setattr(model.config, TEMPERATURE, temperature)
    return measured(problem, labels, problem.scores(logits))


def _about(files: TrainingFiles, columns: Columns, base_model: str | None, texts: int) -> str:
    start = f"starting from `{base_model}`" if base_model else "from scratch"
    about = f"Trained on {texts} texts of `{files.train.name}`, {start}."
    if len(columns.text) > 1:
        shape = f" {columns.separator} ".join(columns.text)
        about += f" A document is written `{shape}`, in one line."
    return about


def _calibration(model: PreTrainedModel, before: Measures, after: Measures) -> str:
    if isinstance(after, RegressionMeasures):
        return ""
    return (
        f"Scores are calibrated: logits are divided by {getattr(model.config, TEMPERATURE)} "
        f"(`{TEMPERATURE}` in config.json), fitted on the validation texts, whose expected "
        f"calibration error was {before.expected_calibration_error:.4g} before and is "
        f"{after.expected_calibration_error:.4g} now."
    )


def _caveats(
    data: TrainingData, model: PreTrainedModel, validation: Evaluation, calibration: str
) -> str:
    problem = problem_type_of(model.config)
    sentences = [f"Answers: {', '.join(problem.labels)}."]
    if problem.name == MultiLabel.name:
        sentences.append(f"A label applies from a score of {problem.threshold} on.")
    if calibration:
        sentences.append(calibration)
        if not validation.mistakes:
            sentences.append(
                "None of these was answered wrongly, so the temperature follows from the doubt of "
                f"{DOUBT:.0%} that fitting takes for granted, and so does the calibration error "
                "after it. How far scores can be trusted, only texts with wrong answers can tell."
            )
    sentences += [
        f"{len(found)} of the {name} texts nearly repeat a training text, which flatters the "
        "measures on them."
        for name, found in data.duplicates.items()
    ]
    return "\n".join(sentences)


def _digest(data: TrainingData, base_model: str | None, settings: TrainingSettings) -> str:
    """Two runs with one digest take the same steps."""
    told = [
        base_model,
        asdict(settings),
        [data.problem.name, data.problem.labels],
        [[(one.text, one.label) for one in part] for part in (data.training, data.validation)],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
