"""The one table from domain codes to gRPC statuses, and what of an error a caller may see.

Trailing metadata: `retry-after-ms` on RESOURCE_EXHAUSTED, `error-id` on INTERNAL (find it in the log).
"""

from collections.abc import Callable
from dataclasses import dataclass

import grpc

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
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The trailing metadata."""
        pairs = ((ERROR_ID, self.error_id), (RETRY_AFTER, str(self.retry_after_ms or "")))
        return tuple((key, value) for key, value in pairs if value)


def refusal(error: Exception, new_id: Callable[[], str]) -> Refusal:
    """What a caller is told of an error; of one that nobody foresaw, only an id."""
    if isinstance(error, Gone):
        return Refusal(grpc.StatusCode.CANCELLED, "the caller has gone")
    if not isinstance(error, SluiceError) or error.code is Code.INTERNAL:
        return Refusal(grpc.StatusCode.INTERNAL, INTERNAL_TEXT, error_id=new_id())
    wait = max(1, round(error.retry_after_s * 1_000)) if isinstance(error, Exhausted) else 0
    return Refusal(TABLE[error.code], str(error)[:LONGEST], retry_after_ms=wait)
