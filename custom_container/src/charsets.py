"""Bodies in other charsets to UTF-8.

Knows the charsets that are read here, by their registered names; knows nothing of records.
"""

import codecs

from src.errors import UnsupportedContentType

# ASCII is UTF-8 already; whatever else a body holds is found out line by line.
UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")
OTHERS = {
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}

_BROKEN_CHARACTER = "lone-surrogate"


def to_utf_8(body: bytes, charset: str) -> bytes:
    """`body` in UTF-8; where it is not of `charset`, the bytes put there are not of UTF-8 either.

    So a broken character costs its own record only. Raises UnsupportedContentType for a charset
    not read here.
    """
    if charset in UTF_8:
        return body
    if charset not in OTHERS:
        raise UnsupportedContentType(
            f"Cannot read a body in charset {charset!r}, expected one of "
            f"{', '.join((UTF_8[0], *OTHERS))}. Convert the input to UTF-8."
        )
    return body.decode(OTHERS[charset], _BROKEN_CHARACTER).encode("utf-8", "surrogatepass")


def _lone_surrogate(error: UnicodeDecodeError) -> tuple[str, int]:
    """What stands for bytes that are no character: UTF-8 has none for it."""
    return "\udc80", error.end


codecs.register_error(_BROKEN_CHARACTER, _lone_surrogate)
