"""The one table from domain codes to gRPC statuses, and what of an error a caller may see.

Trailing metadata: `retry-after-ms` on RESOURCE_EXHAUSTED, and the same as `google.rpc.RetryInfo` in
`grpc-status-details-bin`, where other clients look; `error-id` on INTERNAL (find it in the log).
"""

from collections.abc import Callable
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration

from features.errors import Code, Exhausted, SluiceError

TABLE: dict[Code, grpc.StatusCode] = {
    Code.FIX_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.NOT_READY: grpc.StatusCode.FAILED_PRECONDITION,
    Code.CONFLICT: grpc.StatusCode.ABORTED,
    Code.SLOW_DOWN: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.OUT_OF_TIME: grpc.StatusCode.DEADLINE_EXCEEDED,
    Code.RETRY: grpc.StatusCode.UNAVAILABLE,
    Code.DATA_LOSS: grpc.StatusCode.DATA_LOSS,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
}

RETRY_AFTER = "retry-after-ms"
ERROR_ID = "error-id"
DETAILS = "grpc-status-details-bin"
RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
INTERNAL_TEXT = "internal error; report its error id"
LONGEST = 1_000
"""Characters of a message: gRPC carries it in trailers, which have little room."""


class Gone(Exception):
    """The caller has cancelled, so nobody waits for this work."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as the caller sees it."""

    status: grpc.StatusCode
    message: str
    error_id: str = ""
    retry_after_ms: int = 0

    @property
    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """The trailing metadata."""
        pairs = (
            (ERROR_ID, self.error_id),
            (RETRY_AFTER, str(self.retry_after_ms or "")),
            (DETAILS, retry_details(self) if self.retry_after_ms else b""),
        )
        return tuple((key, value) for key, value in pairs if value)


def refusal(error: Exception, new_id: Callable[[], str]) -> Refusal:
    """What a caller is told of an error; of one that nobody foresaw, only an id."""
    if isinstance(error, Gone):
        return Refusal(grpc.StatusCode.CANCELLED, "the caller has gone")
    if not isinstance(error, SluiceError) or error.code is Code.INTERNAL:
        return Refusal(grpc.StatusCode.INTERNAL, INTERNAL_TEXT, error_id=new_id())
    wait = max(1, round(error.retry_after_s * 1_000)) if isinstance(error, Exhausted) else 0
    return Refusal(TABLE[error.code], str(error)[:LONGEST], retry_after_ms=wait)


def retry_details(refused: Refusal) -> bytes:
    """A `google.rpc.Status` of code, message and one `RetryInfo`.

    Written by hand (the fields 1, 2 and 3, and the duration as field 1), because the package that holds these
    two messages would be a dependency for nothing else.
    """
    delay = Duration(
        nanos=refused.retry_after_ms % 1_000 * 1_000_000, seconds=refused.retry_after_ms // 1_000
    )
    info = AnyMessage(type_url=RETRY_INFO, value=field(1, delay.SerializeToString()))
    code = refused.status.value[0]
    return bytes((0x08, code)) + field(2, refused.message.encode()) + field(3, info.SerializeToString())


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field of the protobuf wire format."""
    size, length = len(data), b""
    while size > 0x7F:
        length += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return bytes((number << 3 | 2,)) + length + bytes((size,)) + data
