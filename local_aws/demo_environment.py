"""
What the commands of a demonstration are told: its own settings and its own AWS, nothing of yours.

Knows every variable that the scripts read, so that neither the caller's environment nor a `.env`
leads a demonstration to a real account or to other documents.
"""

import os
from pathlib import Path

from local_aws.background import LocalAws

ROOT = Path(__file__).parents[1]
BUCKET = "dispute-documents"
SETTINGS = {
    "CONTAINER_IMAGE": "000000000000.dkr.ecr.us-east-1.amazonaws.com/dispute-classifier:latest",
    "LAMBDA_CODE_PREFIX": "lambda-code",
    "LAMBDA_FUNCTION_NAME": "batch-transform-lambda",
    "LAMBDA_STACK_NAME": "batch-transform-lambda-stack",
    "MODEL_DIR": "./modernbert_dispute_classifier/final",
    "S3_BUCKET_NAME": BUCKET,
    "S3_INPUT_PATH": "input/",
    "S3_MODEL_PATH": "models/",
    "S3_OUTPUT_PATH": "output/",
    "SAGEMAKER_INSTANCE_COUNT": "1",
    "SAGEMAKER_INSTANCE_TYPE": "ml.g5.xlarge",
    "SAGEMAKER_ROLE_ARN": "arn:aws:iam::000000000000:role/dispute-classifier-execution",
    "SQS_QUEUE_NAME": "batch-transform-queue",
    "SQS_QUEUE_URL": "",
}
_PROXIES = {"all_proxy", "http_proxy", "https_proxy", "no_proxy"}


def forget_other_accounts() -> None:
    """Take from this process whatever leads boto3 elsewhere: AWS_… variables and proxies."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in _PROXIES:
            del os.environ[name]


def command_environment(local_aws: LocalAws) -> dict[str, str]:
    """Return the environment of the demonstration's commands."""
    return os.environ | SETTINGS | local_aws.environment()
