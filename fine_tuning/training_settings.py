"""How a classifier is trained: the numbers, and the two sets of defaults.

Knows no trainer, and imports nothing: the options of `train` are checked where torch is missing.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """What the Trainer is told; the defaults suit a pretrained base model."""

    epochs: float = 3.0
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    """Share of all steps over which the learning rate rises; after it, it falls as a cosine."""
    batch_size: int = 16
    max_length: int = 512
    """Tokens of a training text that are read; the trained model itself reads more."""
    label_smoothing: float = 0.0
    token_dropout: float = 0.0
    """Share of tokens hidden behind the mask token, afresh in every step."""
    weigh_classes: bool = True
    """A rare class counts as much as a common one."""
    patience: int | None = 3
    """Epochs without a better measure on the validation texts after which training stops and the
    best epoch is taken; None goes to the end and takes the last."""
    checkpoint_steps: int | None = None
    """Keep a checkpoint every so many steps, and not only at the end of an epoch."""
    seed: int = 42


FROM_SCRATCH_SETTINGS = TrainingSettings(
    epochs=4.0,
    learning_rate=1e-3,
    weight_decay=0.05,
    batch_size=64,
    max_length=256,
    label_smoothing=0.1,
    token_dropout=0.35,
    patience=None,
)
"""For a model that knows no word yet: a higher rate, and hidden tokens so that it learns many.

It goes to the end: where validation texts are like the training texts, it answers them all long
before it has learnt what other texts need.
"""
