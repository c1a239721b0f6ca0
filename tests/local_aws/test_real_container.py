"""The container of this repository, run as SageMaker runs it, answers every line."""

import json
import tarfile

import pytest

from local_aws import LocalAws
from tests.custom_container.tiny_model import save_model, save_tokenizer
from tests.local_aws.jobs import IMAGE, ROLE, jobs_in


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A model.tar.gz of a tiny model with random weights."""
    folder = tmp_path_factory.mktemp("artifact")
    save_tokenizer(folder / "final")
    save_model(folder / "final")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        for path in sorted((folder / "final").iterdir()):
            tar.add(path, path.name)
    return folder / "model.tar.gz"


def test_each_line_is_answered_in_its_place(local_aws: LocalAws, artifact):
    """
    Text and packed JSON lines come back line for line, a blank one as an error in its place.
    """
    jobs = jobs_in(local_aws)
    jobs.put("model.tar.gz", artifact.read_bytes())
    jobs.client("sagemaker").create_model(
        ModelName=jobs.bucket,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{jobs.bucket}/model.tar.gz"},
    )
    texts = ["the landlord kept the deposit", "", "wages of the employer \N{SCALES}"]
    records = [
        {"source": "a.txt", "line": number, "text": text} for number, text in enumerate(texts, 1)
    ]
    jobs.put("in/packed.jsonl", "\n".join(map(json.dumps, records)))
    request = jobs.request()
    content_type = {"ContentType": "application/jsonlines"}
    changes = {"TransformInput": request["TransformInput"] | content_type}

    done = jobs.run(**changes)

    assert done["TransformJobStatus"] == "Completed", done.get("FailureReason")
    answers = jobs.answers("out/packed.jsonl.out")
    assert [(answer["source"], answer["line"]) for answer in answers] == [
        ("a.txt", 1),
        ("a.txt", 2),
        ("a.txt", 3),
    ]
    assert answers[1]["error"]["code"] == "EmptyDocument"
    scores = [top["score"] for top in answers[0]["predictions"]["top_predictions"]]
    assert scores == sorted(scores, reverse=True)
