"""Fine-tunes a sequence classifier on labelled texts with Hugging Face's Trainer.

Knows batches, the schedule and the regularisation. Does not know files, columns or where the
model came from: a tokenizer and a model go in, and the model comes out trained.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

from fine_tuning.labelled_texts import LabelledText


@dataclass(frozen=True)
class TrainingSettings:
    """What the Trainer is told; the defaults suit a pretrained base model."""

    epochs: float = 3.0
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    batch_size: int = 16
    max_length: int = 512
    """Tokens of a training text that are read; the trained model itself reads more."""
    label_smoothing: float = 0.0
    token_dropout: float = 0.0
    """Share of tokens hidden behind the mask token, afresh in every batch."""
    seed: int = 42


FROM_SCRATCH_SETTINGS = TrainingSettings(
    epochs=4,
    learning_rate=1e-3,
    weight_decay=0.05,
    batch_size=64,
    max_length=256,
    label_smoothing=0.1,
    token_dropout=0.35,
)
"""For a model that knows no word yet: a higher rate, and hidden tokens so that it learns many."""


class TokenDroppingCollator:
    """Pads a batch, and hides a share of its tokens so that no single word decides alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, token_dropout: float) -> None:
        self._pad = DataCollatorWithPadding(tokenizer)
        self._mask_token_id = tokenizer.mask_token_id
        self._special_ids = torch.tensor(tokenizer.all_special_ids)
        self._token_dropout = token_dropout

    def __call__(self, rows: list[Mapping[str, object]]) -> Mapping[str, torch.Tensor]:
        batch = self._pad(rows)
        if self._token_dropout:
            token_ids = batch["input_ids"]
            hidden = torch.rand(token_ids.shape) < self._token_dropout
            hidden &= ~torch.isin(token_ids, self._special_ids)
            batch["input_ids"] = token_ids.masked_fill(hidden, self._mask_token_id)
        return batch


class _ClassifierTrainer(Trainer):
    """Trainer that hides tokens while it trains and leaves them alone while it evaluates."""

    def get_eval_dataloader(self, eval_dataset=None):
        training_collator = self.data_collator
        self.data_collator = DataCollatorWithPadding(self.processing_class)
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training_collator


def train_classifier(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    training: Sequence[LabelledText],
    validation: Sequence[LabelledText],
    settings: TrainingSettings,
) -> None:
    """Trains ``model`` in place; reports the validation loss and accuracy after every epoch."""
    set_seed(settings.seed)

    def rows(examples: Sequence[LabelledText]) -> list[dict[str, object]]:
        encodings = tokenizer(
            [example.text for example in examples], truncation=True, max_length=settings.max_length
        )
        return [
            {"input_ids": token_ids, "labels": model.config.label2id[example.label]}
            for token_ids, example in zip(encodings["input_ids"], examples, strict=True)
        ]

    with tempfile.TemporaryDirectory() as folder:
        trainer = _ClassifierTrainer(
            model=model,
            args=_training_arguments(folder, settings),
            data_collator=TokenDroppingCollator(tokenizer, settings.token_dropout),
            train_dataset=rows(training),
            eval_dataset=rows(validation),
            processing_class=tokenizer,
            compute_metrics=_accuracy,
        )
        trainer.train()
    model.eval()


def _training_arguments(folder: str, settings: TrainingSettings) -> TrainingArguments:
    on_gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_share,
        lr_scheduler_type="cosine",
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        train_sampling_strategy="group_by_length",
        label_smoothing_factor=settings.label_smoothing,
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        fp16=on_gpu and not torch.cuda.is_bf16_supported(),
        dataloader_pin_memory=on_gpu,
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",
        report_to="none",
        disable_tqdm=not sys.stderr.isatty(),
        seed=settings.seed,
    )


def _accuracy(prediction: EvalPrediction) -> dict[str, float]:
    predicted = prediction.predictions.argmax(axis=-1)
    return {"accuracy": float((predicted == prediction.label_ids).mean())}
