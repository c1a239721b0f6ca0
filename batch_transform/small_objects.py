"""
Small objects, read by the thousand: botocore signs each request, its transport sends it.

Around a request for a few hundred bytes botocore's own GetObject takes three times the processor
time of the request. Whatever is not answered with the whole object at once is asked for again in
that ordinary way, which knows retries, redirects and what an error means.
"""

from typing import Any

import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from batch_transform.naming import S3Uri
from batch_transform.s3_objects import open_object

_URL_LIFE_IN_SECONDS = 300
"""A request is sent as soon as it is signed; clocks may differ by some minutes."""


class SmallObjects:
    """Reads objects whole, from any number of threads."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._transport = _transport_like(s3)

    def read(self, uri: S3Uri, entity_tag: str) -> bytes:
        """Return the object as it was when it had that *entity_tag*; errors are AWS's own."""
        body = self._read_at_once(uri, entity_tag)
        if body is None:
            with open_object(self._s3, uri, entity_tag) as content:
                return content.read()
        return body

    def _read_at_once(self, uri: S3Uri, entity_tag: str) -> bytes | None:
        try:
            url = self._s3.generate_presigned_url(
                "get_object",
                Params={"Bucket": uri.bucket, "Key": uri.key},
                ExpiresIn=_URL_LIFE_IN_SECONDS,
            )
            request = AWSRequest("GET", url, headers={"If-Match": entity_tag})
            answer = self._transport.send(request.prepare())
        except BotoCoreError:  # its text may hold the signed URL: nobody is shown it
            return None
        is_whole = answer.headers.get("Content-Length") == str(len(answer.content))
        return answer.content if answer.status_code == 200 and is_whole else None


def _transport_like(s3: Any) -> URLLib3Session:
    """Return a transport with the client's own limits, proxies and certificates."""
    config = s3.meta.config
    return URLLib3Session(
        verify=botocore.session.get_session().get_config_variable("ca_bundle") or True,
        proxies=get_environ_proxies(s3.meta.endpoint_url),
        timeout=(config.connect_timeout, config.read_timeout),
        max_pool_connections=config.max_pool_connections,
    )
