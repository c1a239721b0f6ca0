"""How the demonstration model in this repository is made: generated texts in, measured model out.

Knows which data it is trained and measured on. Does not know how texts are generated or trained on.
"""

from pathlib import Path

from transformers import set_seed

from fine_tuning.dispute_grammar import load_grammar
from fine_tuning.dispute_texts import dispute_texts
from fine_tuning.evaluation import Evaluation, evaluate_classifier
from fine_tuning.from_scratch import tiny_model, tiny_tokenizer
from fine_tuning.labelled_texts import label_names, read_labelled_texts
from fine_tuning.model_card import model_card
from fine_tuning.model_folder import write_model_folder
from fine_tuning.training import FROM_SCRATCH_SETTINGS, train_classifier

HANDWRITTEN_FILE = Path(__file__).parent / "data" / "handwritten_disputes.csv"
TRAINING_DOCUMENTS = 12_000
_VALIDATION_DOCUMENTS = 1_000
_TRAINING_SEED, _VALIDATION_SEED = 1, 2

_ABOUT = """\
**A demonstration, not a product.** This small ModernBERT (4 layers, 128 wide) was trained from
scratch, in minutes on two CPU cores, on texts that a generator in this repository wrote. No real
dispute was seen. It exists so that the whole batch transform job can be tried at once; do not
decide anything about a real person's case with it.

It was made by `python -m fine_tuning demonstration-model`. The handwritten descriptions below were
written before anything was trained, and were neither trained on nor used to choose a setting. They
are the fair measure: the generated texts share their phrases with the training data, so the figure
on them says only that training worked.

English, letter case ignored; documents of up to 8,192 tokens, trained on the first 256."""


def make_demonstration_model(
    output_dir: Path, documents: int = TRAINING_DOCUMENTS
) -> dict[str, Evaluation]:
    """Generates, trains, measures and writes the model; the measures by name of data set."""
    grammar = load_grammar()
    training = list(dispute_texts(grammar, documents, _TRAINING_SEED))
    validation = list(dispute_texts(grammar, _VALIDATION_DOCUMENTS, _VALIDATION_SEED))
    handwritten = read_labelled_texts(HANDWRITTEN_FILE)

    tokenizer = tiny_tokenizer(example.text for example in training)
    set_seed(FROM_SCRATCH_SETTINGS.seed)
    model = tiny_model(tokenizer, label_names(training))
    train_classifier(model, tokenizer, training, validation, FROM_SCRATCH_SETTINGS)

    measured_on = {
        "handwritten descriptions": evaluate_classifier(model, tokenizer, handwritten),
        "generated texts": evaluate_classifier(model, tokenizer, validation),
    }
    card = model_card("ModernBERT dispute classifier (demonstration)", _ABOUT, measured_on)
    write_model_folder(output_dir, model, tokenizer, measured_on, card)
    return measured_on
