"""Tiny models with random weights: a ModernBERT in the shape of an artefact, and any encoder."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

LABELS = ["Contract Dispute", "Employment Dispute", "Property Dispute", "Family Dispute"]
WORDS = [
    "the",
    "a",
    "of",
    "landlord",
    "tenant",
    "rent",
    "deposit",
    "contract",
    "breach",
    "employer",
    "dismissed",
    "wages",
    "neighbour",
    "fence",
    "boundary",
    "custody",
    "divorce",
    "invoice",
    "unpaid",
    "goods",
    "broken",
    "refund",
    "court",
    "claim",
    "letter",
]


def save_tokenizer(path):
    """A byte-level tokenizer that knows WORDS whole and truncates, as one saved by a trainer."""
    special_tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [" ".join(WORDS)] * 8,
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=special_tokens,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(max_length=16)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=128,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(path)


def save_model(path, **config):
    """Random weights, spread widely enough that documents get scores far from one another."""
    torch.manual_seed(0)
    model = ModernBertForSequenceClassification(
        ModernBertConfig(
            **{
                "vocab_size": 600,
                "hidden_size": 64,
                "intermediate_size": 96,
                "num_hidden_layers": 5,
                "num_attention_heads": 4,
                "global_attn_every_n_layers": 3,
                "local_attention": 32,
                "max_position_embeddings": 128,
                "initializer_range": 0.5,
                "classifier_pooling": "mean",
                "pad_token_id": 0,
                "bos_token_id": 2,
                "cls_token_id": 2,
                "eos_token_id": 3,
                "sep_token_id": 3,
                "id2label": dict(enumerate(LABELS)),
                "label2id": {label: i for i, label in enumerate(LABELS)},
                **config,
            }
        )
    )
    model.save_pretrained(path)


def encoder(model_type, **config):
    """A small classifier of this type, random weights spread widely."""
    names = {"distilbert": {"dim": 64, "hidden_dim": 96, "n_layers": 3, "n_heads": 4}}.get(
        model_type,
        {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
        },
    )
    if model_type == "modernbert":
        config |= {"local_attention": 32, "pad_token_id": 0}
    sizes = {"vocab_size": 600, "max_position_embeddings": 160, "initializer_range": 0.2}
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(model_type, num_labels=4, **sizes, **names, **config)
    ).eval()
