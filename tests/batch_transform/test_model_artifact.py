"""The model artefact: what is packed, what is refused; the same files make the same bytes."""

import json
import os
import struct
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batch_transform.aws import AwsClients
from batch_transform.errors import BatchTransformError, InvalidModelFolder
from batch_transform.model_artifact import local_artifact, package_model, upload
from batch_transform.naming import S3Uri


def write_safetensors(path: Path, cut: int = 0) -> None:
    """Write a safetensors file of one small tensor, its end cut off by *cut* bytes."""
    header = json.dumps({"t": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8 - cut))


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A folder with everything the container needs."""
    folder = tmp_path / "final"
    folder.mkdir()
    config = {"id2label": {"0": "Contract Dispute", "1": "Family Dispute"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "label_mapping.csv").write_text(
        "label_id,label\n0,Contract Dispute\n1,Family Dispute\n"
    )
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text("{}")
    write_safetensors(folder / "model.safetensors")
    return folder


def refusal(folder: Path) -> str:
    """Return why a folder is refused, and check that nothing was written."""
    output = folder.parent / "refused.tar.gz"
    with pytest.raises(InvalidModelFolder) as refused:
        package_model(folder, output)
    assert [path.name for path in folder.parent.iterdir() if "refused" in path.name] == []
    return str(refused.value)


def test_the_archive_is_flat_and_holds_the_files(model_folder: Path, tmp_path: Path) -> None:
    """SageMaker unpacks the archive into /opt/ml/model, where the container looks for the files."""
    packaged = package_model(model_folder, tmp_path / "model.tar.gz")
    with tarfile.open(packaged.path) as archive:
        assert archive.getnames() == sorted(path.name for path in model_folder.iterdir())
        member = archive.getmember("model.safetensors")
        assert (member.uid, member.mtime, member.mode) == (0, 0, 0o644)


def test_the_same_files_make_the_same_bytes(model_folder: Path, tmp_path: Path) -> None:
    """Neither times nor owners of the files reach the archive, nor its own name or hour."""
    first = package_model(model_folder, tmp_path / "a.tar.gz").path.read_bytes()
    assert first[4:8] == bytes(4)  # gzip's own time stamp
    for path in model_folder.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    second = package_model(model_folder, tmp_path / "b.tar.gz").path.read_bytes()
    assert first == second


def test_a_link_stands_for_the_file_it_leads_to(model_folder: Path, tmp_path: Path) -> None:
    """As in the cache that Hugging Face downloads into: a link would lead nowhere in the image."""
    linked = tmp_path / "snapshot"
    linked.mkdir()
    for path in model_folder.iterdir():
        (linked / path.name).symlink_to(path)
    first, second = (
        package_model(folder, tmp_path / "model.tar.gz").path.read_bytes()
        for folder in (model_folder, linked)
    )
    assert first == second


def test_a_failure_leaves_no_archive(model_folder: Path, tmp_path: Path) -> None:
    """A file that cannot be read ends the packing; neither archive nor its beginning is left."""
    (model_folder / "notes.txt").symlink_to("nowhere")
    with pytest.raises(BatchTransformError, match=r"notes\.txt"):
        package_model(model_folder, tmp_path / "model.tar.gz")
    assert list(tmp_path.glob("*.tar.gz*")) == []


def test_a_full_disk_costs_no_earlier_archive(model_folder: Path, tmp_path: Path) -> None:
    """What could not be written is named and gone, and what was there before stays."""
    output = tmp_path / "model.tar.gz"
    output.write_bytes(b"earlier")
    (tmp_path / "model.tar.gz.unfinished").symlink_to("/dev/full")
    with pytest.raises(BatchTransformError, match=r"into .*model\.tar\.gz: .* No space left"):
        package_model(model_folder, output)
    assert output.read_bytes() == b"earlier"
    assert list(tmp_path.glob("*.unfinished")) == []


def test_every_missing_file_is_named(model_folder: Path) -> None:
    """A half folder is refused with all that it lacks."""
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (model_folder / name).unlink()
    message = refusal(model_folder)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        assert f"lacks {name}" in message
    assert "tokenizer_config.json" not in message


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A mistyped path is not an empty model."""
    with pytest.raises(InvalidModelFolder, match="no model folder"):
        package_model(tmp_path / "nowhere", tmp_path / "model.tar.gz")


@pytest.mark.parametrize("name", ["training_args.bin", "pytorch_model.bin", "optimizer.pt"])
def test_a_pickle_is_never_packed(model_folder: Path, tmp_path: Path, name: str) -> None:
    """Loading a pickle can run code, so it stays out, and the operator is told."""
    (model_folder / name).write_bytes(b"\x80\x04.")
    packaged = package_model(model_folder, tmp_path / "model.tar.gz")
    assert name not in packaged.packed
    assert any(reason.startswith(name) for reason in packaged.left_out)


def test_pickled_weights_alone_are_refused_with_the_remedy(model_folder: Path) -> None:
    """Old folders hold pytorch_model.bin; the message says how to get safetensors from it."""
    (model_folder / "model.safetensors").unlink()
    (model_folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    message = refusal(model_folder)
    assert "pytorch_model.bin" in message
    assert "save_pretrained" in message


def test_labels_that_disagree_are_named(model_folder: Path) -> None:
    """Each label that differs between label_mapping.csv and config.json is quoted on both sides."""
    (model_folder / "label_mapping.csv").write_text(
        "label_id,label\n0,Contract Dispute\n1,Consumer Dispute\n2,Property Dispute\n"
    )
    message = refusal(model_folder)
    assert "label 1: 'Consumer Dispute' in label_mapping.csv, 'Family Dispute'" in message
    assert "label 2: 'Property Dispute' in label_mapping.csv, nothing" in message


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("config.json", "{", "not JSON"),
        ("config.json", "{}", "id2label"),
        ("config.json", '{"id2label": ["a"]}', "id2label"),
        ("config.json", "[]", "expected a JSON object"),
        ("tokenizer_config.json", "{", "not JSON"),
        ("tokenizer.json", "3", "expected a JSON object"),
        ("label_mapping.csv", "a,b\n1,2\n", "label_id and label"),
        ("label_mapping.csv", "label_id,label\nx,y\n", "label_id and label"),
    ],
)
def test_a_damaged_description_is_refused(
    model_folder: Path, name: str, content: str, told: str
) -> None:
    """Files that cannot be read are named with what they should hold."""
    (model_folder / name).write_text(content)
    message = refusal(model_folder)
    assert name in message
    assert told in message


def test_weights_cut_short_are_refused(model_folder: Path) -> None:
    """A broken download shows here and not on a rented machine."""
    write_safetensors(model_folder / "model.safetensors", cut=3)
    assert "cut short" in refusal(model_folder)
    (model_folder / "model.safetensors").write_bytes(b"\x80\x04")
    assert "not a safetensors file" in refusal(model_folder)


def test_split_weights_are_followed(model_folder: Path, tmp_path: Path) -> None:
    """Large models come in several files, named by an index."""
    (model_folder / "model.safetensors").rename(model_folder / "model-00001-of-00002.safetensors")
    index = {
        "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002.safetensors"}
    }
    (model_folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00002.safetensors" in refusal(model_folder)
    write_safetensors(model_folder / "model-00002.safetensors")
    assert "model-00002.safetensors" in package_model(model_folder, tmp_path / "m.tar.gz").packed


def test_an_artifact_lies_where_its_content_says(model_folder: Path, tmp_path: Path) -> None:
    """Other weights, other place: nothing is overwritten under a running job."""
    place = S3Uri("b", "models/")
    one = local_artifact(package_model(model_folder, tmp_path / "a.tar.gz").path, place)
    (model_folder / "tokenizer.json").write_text('{"changed": true}')
    two = local_artifact(package_model(model_folder, tmp_path / "b.tar.gz").path, place)
    assert one.uri != two.uri
    assert str(one.uri).startswith("s3://b/models/")
    assert str(one.uri).endswith("/model.tar.gz")


def test_an_artifact_is_sent_once_and_no_bar_is_drawn_for_what_is_there(
    model_folder: Path, tmp_path: Path, clients: AwsClients, bucket: str
) -> None:
    """A bar that stands at 0 would look like an upload that hangs."""
    drawn: list[tuple[str, int, int]] = []

    @contextmanager
    def progress(description: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        sent: list[int] = []
        yield sent.append
        drawn.append((description, total_bytes, sum(sent)))

    path = package_model(model_folder, tmp_path / "model.tar.gz").path
    for _ in range(2):
        upload(clients.s3, local_artifact(path, S3Uri(bucket, "models/")), progress)
    size = path.stat().st_size
    assert drawn == [("Uploading the model", size, size)]


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file of the right name and the wrong kind is not uploaded."""
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content)
    with pytest.raises(InvalidModelFolder, match=r"package_model\.py"):
        local_artifact(path, S3Uri("b"))
