"""The container's modules, importable as in their image, and a model for them to serve."""

import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).parents[2] / "custom_container"
# The container's modules import each other as they do in their image, where this is the root.
sys.path.insert(0, str(CONTAINER))

from tests.custom_container.tiny_model import LABELS, save_model, save_tokenizer  # noqa: E402


@pytest.fixture(scope="session")
def container_dir():
    """The build context of the image."""
    return CONTAINER


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A folder as save_pretrained writes it; 128 tokens long, a window of 16 tokens either side."""
    path = tmp_path_factory.mktemp("model")
    save_tokenizer(path)
    save_model(path)
    (path / "label_mapping.csv").write_text(
        "label_id,label\n" + "".join(f"{i},{label}\n" for i, label in enumerate(LABELS))
    )
    return path
