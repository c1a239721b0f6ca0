"""
An answer that refuses: AWS's error code, its text and the HTTP status it comes with.

Knows no operation.
"""

from http import HTTPStatus


class AwsError(Exception):
    """
    A request that SageMaker answers with an error.

    The code is what boto3 gives as ``error.response["Error"]["Code"]``.
    """

    def __init__(self, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def validation_error(message: str) -> AwsError:
    """SageMaker's answer to what is ill-formed and, unlike most services, to what is not found."""
    return AwsError("ValidationException", message)
