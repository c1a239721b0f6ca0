"""What can go wrong in the container, by whose doing it is.

Knows no HTTP status: app.py holds the one table from these classes to statuses.
"""


class ContainerError(Exception):
    """Anything this container refuses or cannot do, told in one sentence."""


class SettingsError(ContainerError):
    """The environment holds a value the container cannot run with."""


class ModelError(ContainerError):
    """The model artefact cannot be served."""


class ModelLoading(ContainerError):
    """The model is not loaded yet."""


class UnreadableRequest(ContainerError):
    """The body as a whole cannot be read; a bad record alone never raises this."""


class UnsupportedContentType(ContainerError):
    """The body is of a content type, charset or encoding that is not read here."""


class PayloadTooLarge(ContainerError):
    """The body is larger than the job said it would be."""

    def __init__(self, max_payload_in_mb: int) -> None:
        super().__init__(
            f"Cannot read a body of more than {max_payload_in_mb} MB, this job's MaxPayloadInMB. "
            "Raise it, or send smaller records."
        )


class ClientGone(ContainerError):
    """Nobody is left to read the answer."""


class NotAcceptable(ContainerError):
    """The caller accepts none of the content types that are written here."""
