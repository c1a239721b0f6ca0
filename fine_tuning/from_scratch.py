"""A small ModernBERT and its tokenizer, made without any base model.

Knows the shape of the small model and how its tokenizer cuts words. Does not know how either is
trained on labels, nor where it is saved.
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import (
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from fine_tuning.columns import SEGMENT_SEPARATOR
from fine_tuning.problem_types import ProblemType, head_config

MAX_LENGTH_TOKENS = 8192
"""As long as ModernBERT's own context, so that long documents meet the limit users will meet."""

_VOCABULARY_TOKENS = 6000
_SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": SEGMENT_SEPARATOR,
    "mask_token": "[MASK]",
}


def tiny_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most 6,000 tokens, learnt from ``texts``.

    Lower-cases, since a small model should not have to learn every word twice; any Unicode text
    can be encoded, since unknown characters fall back to bytes.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=_SPECIAL_TOKENS["unk_token"]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        BpeTrainer(
            vocab_size=_VOCABULARY_TOKENS,
            min_frequency=2,
            special_tokens=list(_SPECIAL_TOKENS.values()),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
        **_SPECIAL_TOKENS,
    )


def tiny_model(
    tokenizer: PreTrainedTokenizerFast, problem: ProblemType
) -> ModernBertForSequenceClassification:
    """An untrained ModernBERT of about 1.4 million parameters for this ``problem``."""
    return ModernBertForSequenceClassification(
        ModernBertConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            global_attn_every_n_layers=3,
            local_attention=128,
            max_position_embeddings=MAX_LENGTH_TOKENS,
            classifier_pooling="mean",
            embedding_dropout=0.1,
            mlp_dropout=0.1,
            classifier_dropout=0.1,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            cls_token_id=tokenizer.cls_token_id,
            sep_token_id=tokenizer.sep_token_id,
            **head_config(problem),
        )
    )
