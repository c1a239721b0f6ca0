"""
AWS at arm's length: clients for one region, and foreign errors turned into sentences.

Everything else takes a client as an argument; what an AWS error means to an operator is known here
alone.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as ConnectionFailed
from botocore.session import get_session
from botocore.utils import parse_timestamp

from batch_transform.errors import AwsRefused
from batch_transform.tags import tag_text

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
)
# An address that botocore signs else bears the old signature and names the global endpoint, which
# redirects or refuses whatever lies in another region.
S3_CONFIG = _CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))

PRICE_LIST_REGION = "us-east-1"
"""The Price List API answers in few regions, and there for all of them."""

_BOTOCORE_ADVICE: dict[type[BotoCoreError], str] = {
    NoCredentialsError: "no AWS credentials were found: put AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY in .env, or sign in with `aws configure` or `aws sso login`",
    PartialCredentialsError: "the AWS credentials are incomplete: both AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY are needed",
    ProfileNotFound: "AWS_PROFILE names a profile that ~/.aws/config does not hold",
    NoRegionError: "no region is set: give --region or set AWS_REGION",
}

_NOT_ALLOWED = "these credentials may not do that: ask for the permission named above"
_EXPIRED = "the session has expired: sign in again"
_UNKNOWN_KEY = "AWS does not know this AWS_ACCESS_KEY_ID"
_NO_CAPACITY = (
    "wait for a running job to end, choose another --instance-type, or ask for a higher quota in "
    "the Service Quotas console (SageMaker, transform job usage)"
)
_NO_QUEUE = "check SQS_QUEUE_URL, and that AWS_REGION is the queue's"
_CODE_ADVICE = {
    "AWS.SimpleQueueService.NonExistentQueue": _NO_QUEUE,
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "NoSuchBucket": "create it, or mend the bucket's name",
    "QueueDoesNotExist": _NO_QUEUE,
    "ResourceLimitExceeded": _NO_CAPACITY,
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to this AWS_ACCESS_KEY_ID",
    "ThrottlingException": "AWS is limiting the rate of calls: try again in a minute",
    "UnrecognizedClientException": _UNKNOWN_KEY,
}
# Those that botocore's standard mode repeats, and the quota.
_TEMPORARY_CODES = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ResourceLimitExceeded",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}
_PROCESS_CODES = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestTimeTooSkewed",
}
_TEMPORARY_ERRORS = (ConnectionFailed, HTTPClientError, IncompleteReadError)


class AwsClients:
    """The clients of one region, each made when it is first needed."""

    def __init__(
        self,
        region: str | None,
        kms_key_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._session = _session(region)
        self._written_with = _writing_params(kms_key_id, tags or {})

    @property
    def region(self) -> str | None:
        """The region in use: the one asked for, else the one of the AWS profile."""
        return self._session.region_name

    def writing_with(
        self, kms_key_id: str | None, tags: Mapping[str, str] | None = None
    ) -> "AwsClients":
        """Return clients whose S3 client encrypts all it writes with that key and tags it."""
        return AwsClients(self.region, kms_key_id, tags) if kms_key_id or tags else self

    def client(self, service_name: str, region: str | None = None, config: Config = _CONFIG) -> Any:
        """Return a client that retries what is worth retrying."""
        return self._session.client(service_name, region_name=region, config=config)

    @cached_property
    def s3(self) -> Any:
        """The S3 client. It encrypts and tags whatever it writes: no writer can forget to."""
        s3 = self.client("s3", config=S3_CONFIG)
        if self._written_with:
            for operation in ("PutObject", "CreateMultipartUpload"):
                s3.meta.events.register(f"provide-client-params.s3.{operation}", self._add_params)
        return s3

    @cached_property
    def sagemaker(self) -> Any:
        """The SageMaker client."""
        return self.client("sagemaker")

    @cached_property
    def sqs(self) -> Any:
        """The SQS client."""
        return self.client("sqs")

    @cached_property
    def ecr(self) -> Any:
        """The ECR client."""
        return self.client("ecr")

    @cached_property
    def pricing(self) -> Any:
        """The Price List client, which answers from one region for all."""
        return self.client("pricing", PRICE_LIST_REGION)

    @cached_property
    def logs(self) -> Any:
        """The CloudWatch Logs client."""
        return self.client("logs")

    @cached_property
    def cloudformation(self) -> Any:
        """The CloudFormation client."""
        return self.client("cloudformation")

    def _add_params(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return params | self._written_with


def _session(region: str | None) -> boto3.session.Session:
    """Return a session that reads the dates of long listings fast."""
    core = get_session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return boto3.session.Session(region_name=region, botocore_session=core)


def _moment(value: str | float) -> datetime:
    """Read a date as botocore does, but one of a listing without its tries of several formats,
    which take the packer a fifteenth of its time."""
    if isinstance(value, str) and value.endswith("Z"):
        return datetime.fromisoformat(value)
    return parse_timestamp(value)


def _writing_params(kms_key_id: str | None, tags: Mapping[str, str]) -> dict[str, str]:
    key = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
    return key | ({"Tagging": tag_text(tags)} if tags else {})


def error_code(error: ClientError) -> str:
    """Return AWS's own code, such as `NoSuchBucket` or `404`."""
    return error.response.get("Error", {}).get("Code", "")


def is_temporary(error: Exception) -> bool:
    """Tell whether the same call can succeed later, with nobody mending anything."""
    if not isinstance(error, ClientError):
        return isinstance(error, _TEMPORARY_ERRORS)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error_code(error) in _TEMPORARY_CODES or status >= 500


def is_of_this_process(error: Exception) -> bool:
    """Tell whether clock or credentials of this process are off, as another one's need not be."""
    return isinstance(error, ClientError) and error_code(error) in _PROCESS_CODES


AwsError = (BotoCoreError, ClientError, Boto3Error)


def explain(error: BotoCoreError | ClientError | Boto3Error) -> str:
    """Return one sentence on what AWS was asked, what it said and what to do next."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        said = f"{error.operation_name}: {details.get('Message') or 'no message'}"
        advice = _CODE_ADVICE.get(error_code(error))
        return f"AWS refused {said} ({error_code(error)})" + (f"; {advice}" if advice else "")
    if isinstance(error, EndpointConnectionError):
        return f"AWS cannot be reached: {error}; check the network, AWS_REGION and AWS_ENDPOINT_URL"
    for kind, advice in _BOTOCORE_ADVICE.items():
        if isinstance(error, kind):
            return advice
    return f"the call to AWS failed: {error}"


def check_bucket(s3: Any, bucket: str) -> None:
    """Raise AwsRefused with the remedy unless *bucket* is there, ours to use and in our region."""
    try:
        region = s3.head_bucket(Bucket=bucket).get("BucketRegion")
    except ClientError as error:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region")
        meaning = {
            "404": "does not exist: create it, or mend S3_BUCKET_NAME",
            "403": "may not be used with these credentials",
            "400": "was refused: the credentials or the region are wrong",
            "301": f"lies in {region or 'another region'}: set AWS_REGION to it",
        }.get(error_code(error))
        raise AwsRefused(f"the bucket {bucket} {meaning}" if meaning else explain(error)) from None
    # botocore follows S3 into another region by itself; SageMaker and Lambda do not.
    if region not in {None, s3.meta.region_name}:
        raise AwsRefused(
            f"the bucket {bucket} lies in {region}, but SageMaker in {s3.meta.region_name} uses "
            f"buckets of its own region only: set AWS_REGION to {region}, or choose another bucket"
        )
