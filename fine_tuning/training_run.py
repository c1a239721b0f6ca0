"""One run of training: data that were checked, a model to start from, a folder that is written.

Knows the order of the steps. Everything a user can have wrong in the data is refused by
`TrainingData.read`, before a model is loaded.
"""

from dataclasses import dataclass
from pathlib import Path

from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    set_seed,
)

from fine_tuning.errors import FineTuningError
from fine_tuning.evaluation import Evaluation, evaluate_classifier
from fine_tuning.from_scratch import tiny_model, tiny_tokenizer
from fine_tuning.labelled_texts import (
    LabelledText,
    check_known_labels,
    label_names,
    read_labelled_texts,
    stratified_split,
)
from fine_tuning.model_card import model_card
from fine_tuning.model_folder import write_model_folder
from fine_tuning.training import TrainingSettings, train_classifier

_VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class TrainingData:
    """Checked rows and their classes; ``source`` is the training file's name, for the card."""

    source: str
    labels: list[str]
    training: list[LabelledText]
    validation: list[LabelledText]

    @classmethod
    def read(
        cls,
        train_file: Path,
        validation_file: Path | None,
        text_column: str,
        label_column: str,
        seed: int,
    ) -> "TrainingData":
        """Reads and checks both files; without a second one, a tenth of the first is held out."""
        training = read_labelled_texts(train_file, text_column, label_column)
        labels = label_names(training)
        if validation_file:
            validation = read_labelled_texts(validation_file, text_column, label_column)
            check_known_labels(validation_file, validation, labels)
        else:
            training, validation = stratified_split(training, _VALIDATION_SHARE, seed)
        return cls(train_file.name, labels, training, validation)


def train_and_write(
    data: TrainingData, base_model: str | None, settings: TrainingSettings, output_dir: Path
) -> Evaluation:
    """Trains, measures on the validation rows and writes ``output_dir``.

    ``base_model`` None starts from a small untrained model. Raises FineTuningError for a base
    model that cannot be loaded.
    """
    set_seed(settings.seed)
    if base_model:
        model, tokenizer = _pretrained(base_model, data.labels)
    else:
        tokenizer = tiny_tokenizer(example.text for example in data.training)
        model = tiny_model(tokenizer, data.labels)
    train_classifier(model, tokenizer, data.training, data.validation, settings)
    evaluation = evaluate_classifier(model, tokenizer, data.validation)
    measured_on = {"validation": evaluation}
    about = (
        f"Trained on {len(data.training)} texts of `{data.source}`, "
        + (f"starting from `{base_model}`." if base_model else "from scratch.")
        + f" Classes: {', '.join(data.labels)}."
    )
    card = model_card("Dispute classifier", about, measured_on)
    write_model_folder(output_dir, model, tokenizer, measured_on, card)
    return evaluation


def _pretrained(
    base_model: str, labels: list[str]
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(base_model)
        model = AutoModelForSequenceClassification.from_pretrained(
            base_model,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            ignore_mismatched_sizes=True,
        )
    except (OSError, ValueError) as error:
        raise FineTuningError(
            f"Could not load the base model {base_model!r}: {error} "
            "Where the Hugging Face hub cannot be reached, give --base-model the path of a local "
            "folder, or use --from-scratch tiny."
        ) from error
    return model, tokenizer
