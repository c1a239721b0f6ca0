"""Training as a SageMaker job: the container's conventions, and the job that is asked for."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from fine_tuning.errors import FineTuningError
from fine_tuning.launch_command import launch
from fine_tuning.sagemaker_launch import METRICS, SHIPPED, TrainingJob, metric_regex, ship
from fine_tuning.sagemaker_training_job import TrainingJobFolders, train_arguments
from tests.fine_tuning.label_sets import write_label_set

JOB = {
    "train": "s3://bucket/train.csv",
    "s3_output": "s3://bucket/models",
    "s3_checkpoints": "s3://bucket/checkpoints",
    "training_image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2",
    "role_arn": "arn:aws:iam::000000000000:role/training",
}


def opt_ml(root, hyperparameters):
    """The folders of a training job with one labelled file, as SageMaker makes them."""
    (root / "input" / "config").mkdir(parents=True)
    (root / "input" / "data" / "train").mkdir(parents=True)
    (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    write_label_set(root / "input" / "data" / "train" / "rows.csv", "single_label_classification")
    return root


def test_a_training_job_leaves_a_model_and_tells_its_metrics(fine_tuning, tmp_path):
    """Hyperparameters are strings, quoted or not; the model lies at the top of /opt/ml/model."""
    hyperparameters = {"from-scratch": '"tiny"', "epochs": "1", "max_length": "16"}
    root = opt_ml(tmp_path / "ml", hyperparameters | {"sagemaker_program": '"train.sh"'})
    run = fine_tuning("sagemaker-training-job", "--root", root)
    assert run.exit_code == 0, run.stderr
    assert {"config.json", "model.safetensors"} <= {
        path.name for path in (root / "model").iterdir()
    }
    told = {
        name: re.search(metric_regex(name), line)
        for line in run.stderr.splitlines()
        if line.startswith("epoch=")
        for name in METRICS
    }
    assert all(told[name] for name in METRICS if name != "mean_absolute_error")
    assert float(told["loss"][1]) != float(told["train_loss"][1])


def test_a_failed_training_job_leaves_its_reason(fine_tuning, tmp_path):
    """The sentence a user would see becomes the job's FailureReason, at most 1,024 characters."""
    root = opt_ml(tmp_path / "ml", {"from-scratch": "tiny", "text-column": "words"})
    run = fine_tuning("sagemaker-training-job", "--root", root)
    assert run.exit_code == 1
    assert "no column 'words'" in (root / "output" / "failure").read_text()


def test_channels_and_hyperparameters_become_options(tmp_path):
    """A base_model channel stands for the hub, a flag needs no value."""
    root = opt_ml(tmp_path / "ml", {"no-weigh-classes": "", "label_column": "topic"})
    (root / "input" / "data" / "base_model").mkdir()
    assert train_arguments(TrainingJobFolders(root)) == [
        "--no-weigh-classes",
        *("--label-column", "topic"),
        *("--output-dir", str(root / "model")),
        *("--checkpoint-dir", str(root / "checkpoints")),
        *("--train", str(root / "input" / "data" / "train" / "rows.csv")),
        *("--base-model", str(root / "input" / "data" / "base_model")),
    ]


def test_a_channel_of_two_files_is_refused(tmp_path):
    """Which one to train on would be a guess."""
    root = opt_ml(tmp_path / "ml", {})
    (root / "input" / "data" / "train" / "more.csv").touch()
    with pytest.raises(FineTuningError, match="'train' holds 2 files"):
        train_arguments(TrainingJobFolders(root))


@pytest.mark.parametrize(
    ("base_model", "channels", "hyperparameters"),
    [
        ("s3://bucket/base/", {"base_model": "s3://bucket/base/"}, {}),
        ("org/base", {}, {"base-model": "org/base"}),
    ],
)
def test_a_base_model_comes_from_s3_or_the_hub(base_model, channels, hyperparameters):
    """As a channel of the job, or as a hyperparameter."""
    job = TrainingJob(**JOB, base_model=base_model)
    assert job.channels() == {"train": JOB["train"], **channels}
    assert job.all_hyperparameters() == hyperparameters


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"train": "rows.csv"}, "--train is 'rows.csv', expected an s3:// location"),
        ({"s3_checkpoints": None}, "Give --s3-checkpoints, or --no-spot"),
        ({"base_model": None}, "Give either --base-model or"),
    ],
)
def test_a_wrong_job_is_refused_before_it_is_paid_for(changed, sentence):
    """Nothing of the SDK is needed to say so."""
    with pytest.raises(FineTuningError, match=re.escape(sentence)):
        TrainingJob(**(JOB | {"base_model": "org/base"} | changed))


def test_a_dry_run_prints_the_job():
    """Every location and hyperparameter, and nothing is sent."""
    options = [
        word for name, value in JOB.items() for word in (f"--{name.replace('_', '-')}", value)
    ]
    run = CliRunner().invoke(
        launch, [*options, "--hyperparameter", "from-scratch=tiny", "--dry-run"]
    )
    assert run.exit_code == 0, run.output
    assert json.loads(run.output)["hyperparameters"] == {"from-scratch": "tiny"}


@pytest.mark.parametrize(
    ("hyperparameter", "sentence"),
    [
        ("epoch=4", "No such option '--epoch'"),
        ("epochs=0", "Invalid value for '--epochs'"),
        ("batch_size=many", "Invalid value for '--batch-size'"),
        ("from-scratch=huge", "Invalid value for '--from-scratch'"),
        ("problem-type=classes", "Invalid value for '--problem-type'"),
        ("weigh-classes=false", "false"),
        ("seed=", "'--seed' requires an argument"),
        ("output-dir=/tmp/model", "No such option '--output-dir'"),
        ("base-model=org/base", "give --base-model itself"),
        ("max-length=64", "'max-length' is given twice"),
        ("epochs", "'epochs' is not NAME=VALUE"),
    ],
)
def test_a_wrong_hyperparameter_is_refused_before_it_is_paid_for(hyperparameter, sentence):
    """By the options that would refuse it on the machine, whether it is the name or the value."""
    options = ["--hyperparameter", "max_length=32", "--hyperparameter", hyperparameter]
    run = CliRunner().invoke(launch, [*options, "--dry-run"])
    assert run.exit_code == 2
    assert sentence in " ".join(run.output.split())


def test_launching_needs_no_training_package():
    """The SDK's environment has no torch: whatever `launch` imports must do without."""
    blocked = ("torch", "transformers", "numpy", "pandas")
    script = f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
    script += "import fine_tuning.launch_command"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_job_takes_the_code_and_its_requirements_along(request, tmp_path):
    """What is shipped exists, and holds no model and no test."""
    ship(request.config.rootpath, tmp_path)
    assert all((tmp_path / name).exists() for name in SHIPPED)
    assert not list(tmp_path.rglob("*.safetensors")) + list(tmp_path.rglob("__pycache__"))
