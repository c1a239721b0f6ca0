"""A SageMaker training job that runs `train` on a machine of AWS.

Knows the job's parts and the SageMaker Python SDK, version 3, which is imported only when a job is
started: describing one needs nothing. Does not know what training does; the machine runs this very
package, sent along with the job.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from fine_tuning.errors import FineTuningError

SHIPPED = ("fine_tuning", "requirements-training.txt", "custom_container/requirements.txt")
"""What the machine needs of this repository."""
COMMAND = "python -m fine_tuning sagemaker-training-job"
METRICS = ("epoch", "train_loss", "loss", "accuracy", "macro_f1", "mean_absolute_error")
"""What an epoch's line on stderr tells; CloudWatch draws them as the job's metrics."""
_EXTRA_WAIT_IN_SECONDS = 24 * 3600
"""How much longer than its running time a spot job may wait for a machine."""


@dataclass(frozen=True)
class TrainingJob:
    """One training job, as the options of `launch` give it; locations are s3:// ones."""

    train: str
    s3_output: str
    training_image: str
    role_arn: str
    validation: str | None = None
    test: str | None = None
    base_model: str | None = None
    hyperparameters: dict[str, str] = field(default_factory=dict)
    s3_checkpoints: str | None = None
    instance_type: str = "ml.g5.xlarge"
    spot: bool = True
    max_hours: int = 12
    job_name: str = "dispute-classifier"

    def __post_init__(self) -> None:
        """Refuses what would fail only on a machine that is paid for."""
        for name in ("train", "validation", "test", "s3_output", "s3_checkpoints"):
            location = getattr(self, name)
            if location and not location.startswith("s3://"):
                raise FineTuningError(
                    f"--{name.replace('_', '-')} is {location!r}, expected an s3:// location."
                )
        if self.spot and not self.s3_checkpoints:
            raise FineTuningError(
                "A spot job that is interrupted would begin anew. Give --s3-checkpoints, or "
                "--no-spot."
            )
        if bool(self.base_model) == ("from-scratch" in self.hyperparameters):
            raise FineTuningError("Give either --base-model or --hyperparameter from-scratch=tiny.")

    def channels(self) -> dict[str, str]:
        """S3 locations by the name of the folder they are put into."""
        all_channels = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
            "base_model": self.base_model if self._has_own_base_model() else None,
        }
        return {name: location for name, location in all_channels.items() if location}

    def all_hyperparameters(self) -> dict[str, str]:
        """What the job is told, as the options of `train`."""
        named = self.base_model and not self._has_own_base_model()
        return self.hyperparameters | ({"base-model": self.base_model} if named else {})

    def _has_own_base_model(self) -> bool:
        return bool(self.base_model) and self.base_model.startswith("s3://")


def metric_regex(name: str) -> str:
    """Finds the value of a metric in a line of the log."""
    return rf"(?:^| ){name}=([0-9.eE+-]+);"


def launch_training_job(job: TrainingJob, repository: Path, *, wait: bool) -> str:
    """Sends code and job to SageMaker, follows its log if ``wait``, and returns its name."""
    try:
        from sagemaker.core.helper.session_helper import Session  # noqa: PLC0415
        from sagemaker.core.shapes import MetricDefinition  # noqa: PLC0415
        from sagemaker.core.training import configs  # noqa: PLC0415
        from sagemaker.train import ModelTrainer  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise FineTuningError(
            f"Could not load the SageMaker SDK ({error}). Install requirements-sagemaker-sdk.txt "
            "into an environment of its own."
        ) from error
    seconds = job.max_hours * 3600
    with tempfile.TemporaryDirectory() as folder:
        ship(repository, Path(folder))
        trainer = ModelTrainer(
            training_image=job.training_image,
            role=job.role_arn,
            base_job_name=job.job_name,
            # Code is staged in the user's own bucket, and no bucket is made for it.
            sagemaker_session=Session(default_bucket=job.s3_output.split("/")[2]),
            source_code=configs.SourceCode(
                source_dir=folder, requirements="requirements-training.txt", command=COMMAND
            ),
            compute=configs.Compute(
                instance_type=job.instance_type,
                instance_count=1,
                enable_managed_spot_training=job.spot,
            ),
            stopping_condition=configs.StoppingCondition(
                max_runtime_in_seconds=seconds,
                max_wait_time_in_seconds=seconds + _EXTRA_WAIT_IN_SECONDS if job.spot else None,
            ),
            output_data_config=configs.OutputDataConfig(s3_output_path=job.s3_output),
            checkpoint_config=configs.CheckpointConfig(s3_uri=job.s3_checkpoints)
            if job.s3_checkpoints
            else None,
            input_data_config=[
                configs.InputData(channel_name=name, data_source=location)
                for name, location in job.channels().items()
            ],
            hyperparameters=job.all_hyperparameters(),
        ).with_metric_definitions(
            [MetricDefinition(name=name, regex=metric_regex(name)) for name in METRICS]
        )
        trainer.train(wait=wait, logs=wait)
    return trainer._latest_training_job.training_job_name


def ship(repository: Path, folder: Path) -> None:
    """Copies what the machine needs, and nothing else, into ``folder``."""
    for name in SHIPPED:
        source, target = repository / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
