"""What goes wrong before or around an operation, by AWS's names and with AWS's words."""

from __future__ import annotations

THROTTLING = "ThrottlingException"


class RequestError(Exception):
    """A request that no operation gets to see: the exception's name for the client, its HTTP status, its message."""

    def __init__(self, name: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.name = name
        self.status = status


def unknown_operation() -> RequestError:
    """X-Amz-Target names no operation of WorkMail."""
    return RequestError("UnknownOperationException", "The X-Amz-Target header names no operation of Amazon WorkMail.")


def access_denied(access_key_id: str, role: str, operation: str) -> RequestError:
    """The role of the access key does not allow the operation."""
    return RequestError(
        "AccessDeniedException",
        f"User: arn:aws:iam::000000000000:user/{access_key_id} is not authorized to perform: workmail:{operation} "
        f"on resource: * because the {role} role of its access key does not allow the workmail:{operation} action",
    )


def throttled() -> RequestError:
    """The access key has used up its requests; SDKs try again by themselves."""
    return RequestError(THROTTLING, "Rate exceeded")


def serialization(message: str) -> RequestError:
    """The body is no JSON object, or a member has another type than its parameter."""
    return RequestError("SerializationException", message)


def too_large(limit: int) -> RequestError:
    """The body has more bytes than any request of this API needs."""
    return RequestError("RequestEntityTooLargeException", f"The request body has more than {limit} bytes.", 413)


def too_slow(seconds: float) -> RequestError:
    """The body did not arrive in time."""
    return RequestError("RequestTimeoutException", f"The request body did not arrive within {seconds:g} seconds.", 408)


def store_unavailable() -> RequestError:
    """The database does not answer; SDKs try again by themselves."""
    return RequestError("ServiceUnavailableException", "The store does not answer at the moment. Try again.", 503)


def internal() -> RequestError:
    """Our mistake; the log has the rest under the request id."""
    return RequestError("InternalServiceException", "An internal error occurred.", 500)
