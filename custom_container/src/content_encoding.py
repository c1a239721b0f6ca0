"""Compressed bodies, and how large they may become.

Knows gzip (RFC 1952); knows nothing of what a body holds.
"""

import gzip
import io
import zlib

from src.errors import PayloadTooLarge, UnreadableRequest, UnsupportedContentType

# SageMaker counts a payload's megabytes in powers of two.
BYTES_PER_MB = 2**20


def decoded_body(body: bytes, content_encoding: str, max_payload_in_mb: int) -> bytes:
    """`body` as it was before `content_encoding`, that header's value, empty for none.

    The limit is that of the uncompressed body, so that a small one cannot fill the memory. Raises
    PayloadTooLarge, UnreadableRequest for a damaged body, UnsupportedContentType for any other
    encoding than gzip.
    """
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedContentType(
            f"Cannot read a body of Content-Encoding {content_encoding!r}, expected gzip or none."
        )
    max_bytes = max_payload_in_mb * BYTES_PER_MB
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            # One byte more than is allowed tells that there is more.
            decoded = file.read(max_bytes + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        # Neither told nor chained: gzip's error quotes the body.
        raise UnreadableRequest(
            "Cannot decompress the body: it is no gzip, or damaged "
            f"({type(error).__name__}). Send it as gzip writes it, whole."
        ) from None
    if len(decoded) > max_bytes:
        raise PayloadTooLarge(max_payload_in_mb)
    return decoded
