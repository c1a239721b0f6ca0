"""The model that training starts from: a pretrained one, by name or folder, or a small new one.

Knows how to load it with a head for the problem, and how long a text it can read. Does not know how
it is trained.
"""

from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    set_seed,
)

from fine_tuning.columns import SEGMENT_SEPARATOR
from fine_tuning.errors import FineTuningError
from fine_tuning.evaluation import TEMPERATURE
from fine_tuning.from_scratch import tiny_model, tiny_tokenizer
from fine_tuning.model_folder import check_weights_are_there
from fine_tuning.problem_types import ProblemType, head_config

_HUB_PATIENCE_IN_SECONDS = 5
_PARTS = {
    "config.json": ("config.json",),
    "a tokenizer": ("tokenizer*", "vocab*", "*.model"),
    "weights": ("*.safetensors", "*.bin"),
}
"""Of a model folder, with the names that each may have."""


def segment_separator(base_model: str | None) -> str:
    """What stands between the segments of a document: the tokenizer's own separator.

    Also finds out early whether a base model can be reached at all.
    """
    if base_model is None:
        return SEGMENT_SEPARATOR
    return _loaded(base_model, AutoTokenizer.from_pretrained).sep_token or SEGMENT_SEPARATOR


def starting_model(
    base_model: str | None, problem: ProblemType, texts: Iterable[str], seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A model with a head for ``problem`` and its tokenizer; FineTuningError where it has none.

    ``base_model`` None makes a small one, whose tokenizer is learnt from ``texts``. The same
    ``seed`` gives the same head.
    """
    set_seed(seed)
    if base_model is None:
        tokenizer = tiny_tokenizer(texts)
        return tiny_model(tokenizer, problem), tokenizer
    tokenizer = _loaded(base_model, AutoTokenizer.from_pretrained)
    model = _loaded(
        base_model,
        AutoModelForSequenceClassification.from_pretrained,
        ignore_mismatched_sizes=True,
        dtype="float32",
        **head_config(problem),
    )
    # Another model's calibration is none of this one's.
    setattr(model.config, TEMPERATURE, 1.0)
    # Some tokenizers are saved without a limit, and the container must know when to cut.
    tokenizer.model_max_length = min(tokenizer.model_max_length, _longest_input(model))
    return model, tokenizer


def _loaded(base_model: str, from_pretrained, **options):
    folder = Path(base_model)
    if folder.is_dir():
        _check_parts(folder)
        check_weights_are_there(folder)
    has_no_hub = not folder.is_dir() and not _hub_answers(base_model)
    try:
        return from_pretrained(base_model, local_files_only=has_no_hub, **options)
    except (OSError, ValueError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise FineTuningError(
            f"Could not load the base model {base_model!r}: {reason} Where the Hugging Face hub "
            "cannot be reached, give --base-model the path of a local folder, or use "
            "--from-scratch tiny."
        ) from error


def _check_parts(folder: Path) -> None:
    lacks = [part for part, names in _PARTS.items() if not any(map(any, map(folder.glob, names)))]
    if lacks:
        raise FineTuningError(
            f"The base model {folder} lacks {', '.join(lacks)}. Give --base-model a folder with "
            "all that save_pretrained writes of a model and of its tokenizer."
        )


def _hub_answers(base_model: str) -> bool:
    """Whether a hub can be asked at all; from_pretrained would find out in a minute of retries.

    Where it cannot, a copy that was downloaded earlier may still be there.
    """
    try:
        HfApi().model_info(base_model, timeout=_HUB_PATIENCE_IN_SECONDS)
    except HfHubHTTPError:
        return True
    # No address, no route, no answer in time, no certificate: each HTTP library has its own errors.
    except Exception:
        return False
    return True


def _longest_input(model: PreTrainedModel) -> int:
    """Tokens the position embeddings reach; RoBERTa's begin to count after the padding id."""
    embeddings = getattr(model.base_model, "embeddings", None)
    positions = getattr(model.config, "max_position_embeddings", None)
    if embeddings is None or positions is None:
        raise FineTuningError(
            f"The base model is a {model.config.model_type}, expected an encoder such as "
            "ModernBERT, RoBERTa, BERT or DistilBERT. Give one of these as --base-model."
        )
    offset = getattr(embeddings, "padding_idx", None)
    return positions if offset is None else positions - offset - 1
