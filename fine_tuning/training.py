"""Fine-tunes a sequence classifier on labelled texts with Hugging Face's Trainer.

Knows the loss, the schedule, the regularisation and how a killed run goes on. Does not know
files, columns or where the model came from: a tokenizer and a model go in, and the model comes out
trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME

from fine_tuning.checkpoints import checkpoint_to_resume
from fine_tuning.early_stopping import EarlyStopping
from fine_tuning.labelled_texts import LabelledText
from fine_tuning.last_layer import renew_last_layer, scale_logits
from fine_tuning.length_groups import LengthGroupedSampler
from fine_tuning.measures import measured, single_numbers
from fine_tuning.problem_types import ProblemType, Regression, problem_type_of
from fine_tuning.target_scale import TargetScale
from fine_tuning.training_settings import TrainingSettings

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class TrainingHistory:
    """What was logged after each epoch: the Trainer's names, `loss` and `eval_…`, to values.

    Where a run went on from the middle of an epoch, that epoch's `loss` is the one of its rest.
    """

    epochs: list[dict[str, float]]


def train_classifier(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    training: Sequence[LabelledText],
    validation: Sequence[LabelledText],
    settings: TrainingSettings,
    *,
    checkpoint_dir: Path,
    run_digest: str,
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainingHistory:
    """Trains ``model`` in place and leaves it as it was after its best epoch, or its last.

    A run that was killed goes on from its last checkpoint in ``checkpoint_dir`` when the same
    ``run_digest`` is given, and ends with the weights it would have ended with; FineTuningError
    where another run's checkpoints lie there. They stay until `remove_checkpoints`: whatever fails
    after training must not cost the training.
    """
    set_seed(settings.seed)
    problem = problem_type_of(model.config)
    scale = TargetScale()
    if problem.name == Regression.name:
        scale = TargetScale.of([example.label for example in training])
        renew_last_layer(model)
        # Where part of a text is hidden, numbers are learnt too large for the whole of it.
        settings = replace(settings, token_dropout=0.0)
    weights = _class_weights(problem, training, settings)
    if weights is not None:
        # The loss adds these again: training begins as without them, and ends with scores that
        # know how often each class comes.
        scale_logits(model, 1.0, -weights.log())
    max_length = min(settings.max_length, tokenizer.model_max_length)
    resume_from = checkpoint_to_resume(checkpoint_dir, run_digest)
    arguments = _training_arguments(checkpoint_dir, settings, problem)
    trainer = _ClassifierTrainer(
        problem=problem,
        settings=settings,
        weights=weights,
        model=model,
        args=arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=_rows(tokenizer, training, problem, scale, max_length),
        eval_dataset=_rows(tokenizer, validation, problem, scale, max_length),
        processing_class=tokenizer,
        compute_metrics=_metrics(problem, scale, validation),
        callbacks=list(callbacks),
    )
    if settings.patience:
        stopping = EarlyStopping(settings.patience)
        trainer.add_callback(stopping)
        if resume_from:
            state = TrainerState.load_from_json(str(resume_from / TRAINER_STATE_NAME))
            # Killed after its last epoch: the Trainer would begin another one before it asked.
            if stopping.has_ended(state, arguments):
                arguments.num_train_epochs = state.epoch
    trainer.remove_callback(PrinterCallback)
    if settings.checkpoint_steps:
        trainer.add_callback(
            _CheckpointEvery(settings.checkpoint_steps, len(trainer.get_train_dataloader()))
        )
    trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    scale.fold_into(model)
    model.eval()
    return TrainingHistory(_by_epoch(trainer.state.log_history))


class _ClassifierTrainer(Trainer):
    """Trainer with the problem's own loss, hidden tokens, and batches of one length."""

    def __init__(
        self,
        *,
        problem: ProblemType,
        settings: TrainingSettings,
        weights: Tensor | None,
        **options: Any,
    ) -> None:
        self._problem = problem
        self._settings = settings
        self._weights = weights
        super().__init__(**options)

    def _get_train_sampler(self, train_dataset: Rows | None = None) -> LengthGroupedSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(row["input_ids"]) for row in rows]
        return LengthGroupedSampler(lengths, self._settings.batch_size, self._settings.seed)

    def training_step(
        self, model: nn.Module, inputs: Mapping[str, Tensor], *arguments: Any, **options: Any
    ) -> Tensor:
        """Hides tokens here and not where batches are made: those are made one step ahead, and a
        resumed run would hide others."""
        if self._settings.token_dropout:
            inputs = {**inputs, "input_ids": self._with_hidden_tokens(inputs["input_ids"])}
        return super().training_step(model, inputs, *arguments, **options)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The problem's loss, softened and weighted while training only.

        Weights raise the logits of rare classes by their logarithms. Adding these here leaves them
        out of the model's own logits, whose scores would else claim rare classes too often.
        """
        del num_items_in_batch
        texts = {name: value for name, value in inputs.items() if name != "labels"}
        outputs = model(**texts)
        logits, weights, doubt = outputs.logits.float(), None, 0.0
        if model.training:
            doubt = self._settings.label_smoothing
            weights = None if self._weights is None else self._weights.to(logits.device)
            logits = logits if weights is None else logits + weights.log()
        loss = self._problem.loss(logits, self._problem.softened(inputs["labels"], doubt), weights)
        return (loss, outputs) if return_outputs else loss

    def _with_hidden_tokens(self, token_ids: Tensor) -> Tensor:
        special_ids = torch.tensor(self.processing_class.all_special_ids, device=token_ids.device)
        hidden = torch.rand(token_ids.shape, device=token_ids.device) < self._settings.token_dropout
        hidden &= ~torch.isin(token_ids, special_ids)
        return token_ids.masked_fill(hidden, self.processing_class.mask_token_id)


class _CheckpointEvery(TrainerCallback):
    """Asks for a checkpoint every so many steps, but for an epoch's last, which has its own."""

    def __init__(self, steps: int, steps_an_epoch: int) -> None:
        self._steps = steps
        self._steps_an_epoch = steps_an_epoch

    def on_step_end(
        self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        step = state.global_step
        if step % self._steps == 0 and step % self._steps_an_epoch != 0:
            control.should_save = True


def _training_arguments(
    folder: Path, settings: TrainingSettings, problem: ProblemType
) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_share,
        lr_scheduler_type="cosine",
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        **mixed_precision(torch.cuda),
        dataloader_pin_memory=torch.cuda.is_available(),
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=settings.patience is not None,
        metric_for_best_model=problem.best_metric,
        greater_is_better=problem.greater_is_better,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        seed=settings.seed,
    )


def mixed_precision(cuda: Any) -> dict[str, bool]:
    """The Trainer's arguments for what ``cuda``, which is `torch.cuda`, computes fast.

    Before Ampere bfloat16 is emulated, far slower than float16: such a GPU, a T4 say, takes that.
    """
    has_bf16 = cuda.is_available() and cuda.is_bf16_supported(including_emulation=False)
    return {"bf16": has_bf16, "fp16": cuda.is_available() and not has_bf16}


def _class_weights(
    problem: ProblemType, training: Sequence[LabelledText], settings: TrainingSettings
) -> Tensor | None:
    labels = [example.label for example in training]
    return problem.class_weights(labels) if settings.weigh_classes else None


def _rows(
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[LabelledText],
    problem: ProblemType,
    scale: TargetScale,
    max_length: int,
) -> Rows:
    encodings = tokenizer(
        [example.text for example in examples], truncation=True, max_length=max_length
    )
    targets = problem.targets([example.label for example in examples])
    if problem.name == Regression.name:
        targets = scale.standardised(targets)
    return [
        {"input_ids": token_ids, "labels": target}
        for token_ids, target in zip(encodings["input_ids"], targets.tolist(), strict=True)
    ]


def _metrics(problem: ProblemType, scale: TargetScale, validation: Sequence[LabelledText]) -> Any:
    labels = [example.label for example in validation]

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        scores = problem.scores(scale.restored(torch.as_tensor(prediction.predictions)))
        return single_numbers(measured(problem, labels, scores))

    return compute_metrics


def _by_epoch(log_history: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    epochs: dict[float, dict[str, float]] = {}
    for entry in log_history:
        if "loss" in entry or "eval_loss" in entry:
            kept = {name: value for name, value in entry.items() if _is_measure(name)}
            epochs.setdefault(entry["epoch"], {}).update(kept)
    return list(epochs.values())


def _is_measure(name: str) -> bool:
    """Neither how fast the machine was nor how large the last step."""
    is_speed = name.endswith(("_runtime", "_per_second"))
    return name in {"epoch", "loss"} or (name.startswith("eval_") and not is_speed)
