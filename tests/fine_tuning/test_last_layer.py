"""What is folded into a classifier's last layer comes out of the whole classifier."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from fine_tuning.last_layer import scale_logits

SMALL = {"vocab_size": 50, "num_labels": 3, "pad_token_id": 0}
SHAPE = SMALL | {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SHAPES = {
    **dict.fromkeys(("modernbert", "bert", "roberta", "xlm-roberta", "electra"), SHAPE),
    "distilbert": SMALL | {"dim": 16, "n_layers": 1, "n_heads": 2},
}


@pytest.mark.parametrize("model_type", SHAPES)
def test_logits_are_scaled_whatever_the_head(model_type):
    """Also of heads of several layers, and of those that lie before their encoder."""
    config = AutoConfig.for_model(model_type, **SHAPES[model_type])
    model = AutoModelForSequenceClassification.from_config(config).eval()
    token_ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        before = model(token_ids).logits
    scale_logits(model, 2.0, torch.tensor([1.0, 10.0, 100.0]))
    with torch.inference_mode():
        after = model(token_ids).logits
    torch.testing.assert_close(after, 2 * before + torch.tensor([1.0, 10.0, 100.0]))
