"""
Make the SageMaker Model exist. It is named by what it holds, so it is never stale and never twice.

Knows CreateModel and DescribeModel; builds no request.
"""

from typing import Any

from botocore.exceptions import ClientError

from batch_transform.aws import error_code
from batch_transform.transform_request import Request


def model_exists(sagemaker: Any, model_name: str) -> bool:
    """Tell whether SageMaker has a Model of that name."""
    try:
        sagemaker.describe_model(ModelName=model_name)
    except ClientError as error:
        if _says(error, "could not find model"):
            return False
        raise
    return True


def ensure_model(sagemaker: Any, create_model: Request) -> bool:
    """
    Create the Model unless it is there; return whether this call made it.

    Two runs at once may both find it missing: the second is told so and goes on.
    """
    if model_exists(sagemaker, create_model["ModelName"]):
        return False
    try:
        sagemaker.create_model(**create_model)
    except ClientError as error:
        if _says(error, "already existing"):
            return False
        raise
    return True


def _says(error: ClientError, phrase: str) -> bool:
    # SageMaker answers both "no such model" and "already there" with a bare ValidationException.
    message = error.response.get("Error", {}).get("Message", "")
    return error_code(error) == "ValidationException" and phrase in message.lower()
