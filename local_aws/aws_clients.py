"""
boto3 clients of the local endpoint, one for each service, account and region.

Knows that ministack takes an access key of twelve digits for the account's own.
"""

import threading

import boto3
from botocore.client import BaseClient
from botocore.config import Config

from local_aws.sagemaker_state import Home

SECRET_KEY = "local"  # noqa: S105 - ministack signs nothing with it
MAX_CONNECTIONS = 50


class AwsClients:
    """Makes each client once; safe to share between threads."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._clients: dict[tuple[str, Home], BaseClient] = {}
        self._lock = threading.Lock()

    def s3(self, home: Home) -> BaseClient:
        """S3 as the account sees it."""
        return self._client("s3", home)

    def logs(self, home: Home) -> BaseClient:
        """CloudWatch Logs as the account sees it."""
        return self._client("logs", home)

    def _client(self, service_name: str, home: Home) -> BaseClient:
        with self._lock:
            if (service_name, home) not in self._clients:
                self._clients[service_name, home] = boto3.session.Session().client(
                    service_name,
                    endpoint_url=self._endpoint_url,
                    region_name=home.region,
                    aws_access_key_id=home.account_id,
                    aws_secret_access_key=SECRET_KEY,
                    config=Config(max_pool_connections=MAX_CONNECTIONS),
                )
            return self._clients[service_name, home]
