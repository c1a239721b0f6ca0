"""What was trained is served: packaged, and answered by a job as transformers answers it."""

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.fine_tuning.label_sets import write_label_set

SCORES = {
    "single_label_classification": lambda logits: logits.softmax(-1),
    "multi_label_classification": torch.sigmoid,
    "regression": lambda logits: logits,
}
PICTURES = {
    "single_label_classification": {"confusion_matrix.png", "calibration.png"},
    "multi_label_classification": {"confusion_matrix.png", "calibration.png"},
    "regression": {"predicted_and_true.png"},
}
QUALITY = {
    "single_label_classification": "accuracy",
    "multi_label_classification": "macro_f1",
    "regression": "r2",
}
TEXTS = [
    "Since 1998 the landlord raised the rent.",
    "the shop refused a refund and the employer withheld wages",
    "Noise!",
]


def transformers_own_scores(folder, problem_type):
    """Scores by label, from nothing but the folder and transformers."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    temperature = json.loads((folder / "config.json").read_text())["calibration_temperature"]
    with torch.inference_mode():
        logits = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in TEXTS]
    return [
        dict(zip(model.config.id2label.values(), row.tolist(), strict=True))
        for row in (SCORES[problem_type](one / temperature) for one in logits)
    ]


@pytest.mark.parametrize("problem_type", SCORES)
def test_a_trained_model_is_packaged_and_served_by_a_job(
    fine_tuning, job_answers, tmp_path, problem_type
):
    """Train, evaluate, package_model.py, the optimized job: each answer is transformers' own.

    The rows were trained on, so a sound training answers most of them.
    """
    labels = write_label_set(tmp_path / "rows.csv", problem_type)
    columns = [word for label in labels for word in ("--label-column", label)]
    folder = tmp_path / "final"
    trained = fine_tuning(
        *("train", "--train", tmp_path / "rows.csv", *columns, "--from-scratch", "tiny"),
        *("--output-dir", folder, "--epochs", 6, "--batch-size", 16, "--max-length", 32),
    )
    assert trained.exit_code == 0, trained.stderr
    evaluated = fine_tuning(
        "evaluate", "--model-dir", folder, "--test", tmp_path / "rows.csv", *columns, "--json"
    )
    measures = json.loads(evaluated.stdout)
    assert measures["documents"] == 140
    assert measures[QUALITY[problem_type]] > 0.8
    validation = json.loads((folder / "metrics.json").read_text())["validation"]
    faultless = 1 in {validation.get("accuracy"), validation.get("exact_match")}
    card = (folder / "MODEL_CARD.md").read_text()
    assert ("None of these was answered wrongly" in card) == faultless
    assert ("expected calibration error was" in card) == (problem_type != "regression")
    drawn = {path.name for path in folder.glob("*.png")}
    assert drawn == {"training_curve.png"} | PICTURES[problem_type]

    answers = job_answers(folder, TEXTS)

    expected = transformers_own_scores(folder, problem_type)
    tolerance = 0.02 * max(1, *(abs(score) for row in expected for score in row.values()))
    assert len(answers) == len(TEXTS)
    for answer, scores in zip(answers, expected, strict=True):
        for top in answer["predictions"]["top_predictions"]:
            assert top["score"] == pytest.approx(scores[top["class"]], abs=tolerance)
        assert len(answer["predictions"]["top_predictions"]) == min(3, len(scores))
