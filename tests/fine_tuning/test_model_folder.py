"""A model folder is replaced whole, and everybody can read what lies in it."""

import contextlib

from fine_tuning.model_folder import load_model_folder, replaced_model_folder, write_model_folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_nothing_of_the_model_before_is_left(model_dir, tmp_path):
    """Its weights in parts, its vocabulary and its pictures go; the user's own files stay."""
    before = ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "merges.txt")
    for name in (*before, "predicted_and_true.png", "sample_texts.txt"):
        (tmp_path / name).touch()
    model, tokenizer = load_model_folder(model_dir)
    with replaced_model_folder(tmp_path) as folder:
        write_model_folder(folder, model, tokenizer, {}, "# A card")
    assert contents(tmp_path).keys() == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("special_tokens_map.json", "label_mapping.csv", "metrics.json", "MODEL_CARD.md"),
        "sample_texts.txt",
    }


def test_where_writing_fails_the_model_before_stays(tmp_path):
    """A disk that is full half-way costs no model, and leaves no half of one."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("before")
    before = contents(tmp_path)
    with contextlib.suppress(OSError), replaced_model_folder(tmp_path) as folder:
        (folder / "config.json").write_text("after")
        raise OSError("No space left on device")
    assert contents(tmp_path) == before


def test_what_a_killed_run_was_writing_is_not_taken(tmp_path):
    """Only what the next run writes becomes the model's."""
    with replaced_model_folder(tmp_path / "killed") as folder:
        killed = folder.name
    (tmp_path / killed).mkdir()
    (tmp_path / killed / "model.safetensors").touch()
    with replaced_model_folder(tmp_path) as folder:
        (folder / "config.json").touch()
    assert not (tmp_path / "model.safetensors").exists()


def test_whoever_reads_the_config_reads_the_weights(model_dir):
    """safetensors by itself lets the owner alone."""
    modes = {(model_dir / name).stat().st_mode for name in ("config.json", "model.safetensors")}
    assert len(modes) == 1
