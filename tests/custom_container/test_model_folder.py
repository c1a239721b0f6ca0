"""The model folder: whatever is wrong with it is said in one exact sentence, at load."""

import json
import pickle
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, RobertaConfig

from src.errors import ModelError
from src.model_folder import load_model_folder
from tests.custom_container.tiny_model import LABELS, save_tokenizer


@pytest.fixture
def folder(model_dir, tmp_path):
    """A copy of the tiny model to break."""
    return shutil.copytree(model_dir, tmp_path / "model")


def change_config(folder, **members):
    """Overwrite members of config.json."""
    change_json(folder / "config.json", **members)


def change_json(path, **members):
    """Overwrite members of the object in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **members}))


def change_weights(folder, change):
    """Let `change` edit the dict of tensors."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def refusal(folder):
    """The sentence with which the folder is refused."""
    with pytest.raises(ModelError) as error:
        load_model_folder(folder)
    return str(error.value)


def test_a_sound_folder_loads(folder):
    """Labels in the order of the logits, and the length both model and tokenizer allow."""
    loaded = load_model_folder(folder)

    assert loaded.labels == LABELS
    assert loaded.max_length == 128
    assert not loaded.model.training


def test_each_missing_file_is_named(folder):
    """All of them in one sentence."""
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).unlink()

    assert "lacks config.json, tokenizer.json, model.safetensors" in refusal(folder)


def test_a_pickle_is_never_loaded(folder):
    """Weights only in pytorch_model.bin are no weights: opening it would run its code."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))

    assert "lacks model.safetensors" in refusal(folder)


@pytest.mark.parametrize("name", ["evil.bin", "../evil.safetensors", "lost.safetensors"])
def test_an_index_names_nothing_but_safetensors_of_the_folder(folder, name):
    """What else it names would be opened as a pickle, or lies elsewhere."""
    (folder / "model.safetensors").unlink()
    for evil in (folder / "evil.bin", folder.parent / "evil.safetensors"):
        evil.write_bytes(pickle.dumps(_Bomb()))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))

    assert f"model.safetensors.index.json names {name}, of which there is no" in refusal(folder)


@pytest.mark.parametrize("index", [b"", b"[]", b'{"weight_map": []}', b'{"weight_map": {"x": []}}'])
def test_an_index_that_is_none_is_named(folder, index):
    """The file, and what is wrong with it."""
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_bytes(index)

    assert re.search(r"Cannot read .*model.safetensors.index.json: \w+Error", refusal(folder))


@pytest.mark.parametrize("name", ["label_mapping.csv", "sample_texts.txt"])
def test_a_text_that_is_not_utf_8_is_named(folder, name):
    """Saved by a program that writes windows-1252, say."""
    (folder / name).write_bytes(b"label_id,label\n0,K\xe4ufer\n")

    assert f"Cannot read {name} as UTF-8: " in refusal(folder)


class _Bomb:
    def __reduce__(self):
        return pytest.fail, ("the pickle was loaded",)


def test_sharded_weights_load(folder):
    """Weights in two files with an index are as good as one."""
    tensors = load_file(folder / "model.safetensors")
    weight_map = {}
    for shard, name in enumerate(sorted(tensors)):
        weight_map[name] = f"model-0000{shard % 2 + 1}-of-00002.safetensors"
    for file in set(weight_map.values()):
        own = {name: tensors[name] for name in tensors if weight_map[name] == file}
        save_file(own, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )

    assert load_model_folder(folder).labels == LABELS


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"model_type": "nonsense"}, r"config.json: ValueError: .*model type `nonsense`"),
        ({"model_type": "vit"}, r"model.safetensors: ValueError: Unrecognized configuration"),
        ({"num_hidden_layers": 7}, r"config.json: .*`num_hidden_layers` \(7\)"),
        ({"id2label": {"0": "a", "1": "b"}}, r"classifier.weight \[4, 64\] .*expects \[2, 64\]"),
        ({"id2label": {"0": "a", "2": "b"}}, r"ids \[0, 2\], expected 0, 1, 2"),
    ],
)
def test_a_config_that_cannot_be_served(folder, members, sentence):
    """What config.json says wrong is quoted."""
    (folder / "label_mapping.csv").unlink()
    change_config(folder, **members)

    assert re.search(sentence, refusal(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_damaged_file_is_named(folder, name):
    """Bytes that are not the format at all are refused under the file's name."""
    (folder / name).write_bytes(b"\x00 no such format")

    assert re.search(f"{name}: .*[^.][.] Package a folder saved with", refusal(folder))


@pytest.mark.parametrize("kept", [0, 4, 50, -1])
def test_weights_that_break_off_are_named(folder, kept):
    """Cut within their header or in their last byte, as an interrupted copy leaves them."""
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])

    assert re.search(r"Cannot load .*model.safetensors: SafetensorError: .*header", refusal(folder))


@pytest.mark.parametrize("members", [{"dtype": "float16"}, {"torch_dtype": "bfloat16"}, {}])
@pytest.mark.parametrize("saved", [torch.float16, torch.float32, torch.float64])
def test_weights_of_any_format_are_loaded_in_fp32(folder, members, saved):
    """What the container computes in is its own choice, whatever config.json and weights say."""
    change_config(folder, **members)
    change_weights(
        folder, lambda tensors: tensors.update({key: tensors[key].to(saved) for key in tensors})
    )

    model = load_model_folder(folder).model

    assert {weights.dtype for weights in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("architectures", [None, []])
def test_a_config_without_architectures_is_served(folder, architectures):
    """What the weights hold says whether they are a classifier's."""
    change_config(folder, architectures=architectures)

    assert load_model_folder(folder).labels == LABELS


def test_code_in_the_folder_is_never_run(folder):
    """A model that needs its own code is refused, whatever transformers advises to do then."""
    change_config(folder, model_type="ours", auto_map={"AutoConfig": "ours.OurConfig"})
    (folder / "ours.py").write_text("import pathlib; pathlib.Path(__file__).unlink()")

    assert refusal(folder).endswith("no code is run from it.")
    assert (folder / "ours.py").is_file()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tensors: tensors.pop("head.dense.weight"), "lack head.dense.weight"),
        (
            lambda tensors: tensors.update(extra=torch.zeros(1)),
            "have unknown tensors extra",
        ),
        (
            lambda tensors: tensors.update({"head.dense.weight": torch.zeros(3, 3)}),
            r"have misshaped tensors head.dense.weight \[3, 3\] \(config.json expects \[64, 64\]\)",
        ),
        (
            lambda tensors: tensors["head.dense.weight"].fill_(float("nan")),
            "hold NaN or infinity in head.dense.weight",
        ),
        (
            lambda tensors: tensors["classifier.bias"][0].fill_(float("-inf")),
            "hold NaN or infinity in classifier.bias",
        ),
        (
            # Of fp64, more than fp32 has room for.
            lambda tensors: tensors.update(
                {"classifier.bias": torch.full((4,), 1e300, dtype=torch.float64)}
            ),
            "hold NaN or infinity in classifier.bias",
        ),
    ],
)
def test_weights_that_are_not_this_models(folder, change, sentence):
    """Missing, unknown, misshaped and not-a-number tensors are named."""
    change_weights(folder, change)

    assert re.search(sentence, refusal(folder))


def test_a_model_without_a_classification_head_is_refused(folder):
    """A language model's weights do not become a classifier with a random head."""
    change_config(folder, architectures=["ModernBertForMaskedLM"])
    change_weights(
        folder, lambda tensors: [tensors.pop(f"classifier.{part}") for part in ("weight", "bias")]
    )

    sentence = refusal(folder)

    assert "lack classifier.bias, classifier.weight" in sentence
    assert "config.json names ModernBertForMaskedLM" in sentence


def test_a_tokenizer_larger_than_the_embedding_is_refused(folder):
    """A token id beyond the embedding would fail in the middle of a job."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["zzzz"] = 600
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))

    assert "largest token id is 600" in refusal(folder)


def test_integer_labels_become_their_names(folder):
    """Real configs hold {"0": 0}; answers hold strings."""
    (folder / "label_mapping.csv").unlink()
    change_config(folder, id2label={str(i): i for i in range(4)})

    assert load_model_folder(folder).labels == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ("label_id,label\n0,Other\n", "names label 0 'Other', config.json"),
        (
            "label_id,label\n" + "".join(f"{i},{label}\n" for i, label in enumerate(LABELS[:3])),
            "names label 3 None",
        ),
        (
            "label_id,label\n"
            + "".join(f"{i},{label}\n" for i, label in enumerate(LABELS))
            + "9\n",
            "names label 9 ''",
        ),
        ("id,name\n0,Other\n", "columns label_id and label"),
        ("", "columns label_id and label"),
    ],
)
def test_a_label_mapping_that_disagrees_is_refused(folder, mapping, sentence):
    """Two files that name the labels differently would give answers nobody can trust."""
    (folder / "label_mapping.csv").write_text(mapping)

    assert sentence in refusal(folder)


def test_positions_that_begin_after_the_padding_shorten_the_longest_input(tmp_path):
    """RoBERTa's 514 positions hold 512 tokens; a tokenizer without a limit must not exceed them."""
    save_tokenizer(tmp_path)
    change_json(tmp_path / "tokenizer_config.json", model_max_length=10**30)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    AutoModelForSequenceClassification.from_config(
        RobertaConfig(vocab_size=600, intermediate_size=16, max_position_embeddings=514, **sizes)
    ).save_pretrained(tmp_path)

    assert load_model_folder(tmp_path).max_length == 512


@pytest.mark.parametrize(
    ("of_tokenizer", "of_model", "longest"),
    [(100.0, 128, 100), (1e30, -1, 512), (10**30, 0, 512), (64, -1, 64), (1e30, 128, 128)],
)
def test_the_longest_input_is_the_least_limit_that_is_one(folder, of_tokenizer, of_model, longest):
    """A whole number however JSON writes it; without any limit, one that fits a memory."""
    change_json(folder / "tokenizer_config.json", model_max_length=of_tokenizer)
    change_config(folder, max_position_embeddings=of_model)

    max_length = load_model_folder(folder).max_length

    assert (max_length, type(max_length)) == (longest, int)


def test_sample_texts_are_one_a_line(folder):
    """Blank lines are no samples, and without the file there are none."""
    assert load_model_folder(folder).sample_texts == []

    (folder / "sample_texts.txt").write_text("unpaid rent\n\n custody \n")

    assert load_model_folder(folder).sample_texts == ["unpaid rent", "custody"]
