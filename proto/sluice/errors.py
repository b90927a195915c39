"""What a call can end with, a class for each thing that the caller should do next."""

from collections.abc import Mapping
from typing import Any

import grpc

RETRY_AFTER = "retry-after-ms"
ERROR_ID = "error-id"


class InvalidCandidates(ValueError):
    """Candidates that cannot become columns, or a request that cannot become a message; nothing was sent."""


class InvalidEvent(ValueError):
    """An event that cannot become a message; nothing was sent."""


class RankError(Exception):
    """A call that failed.

    Attributes:
        code: the gRPC status.
        message: what the server said.
        retry_after_s: how long it asks to wait, where it does.
        error_id: finds the failure in the server's log, where it has one.
    """

    def __init__(
        self, code: grpc.StatusCode, message: str, *, retry_after_s: float | None = None, error_id: str = ""
    ) -> None:
        super().__init__(f"{code.name}: {message}" + (f" (error id {error_id})" if error_id else ""))
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.error_id = error_id


class InvalidRequest(RankError):
    """Mend the field that the message names, and send again."""


class UnknownName(RankError):
    """No such tenant, ranker or version."""


class NotReady(RankError):
    """Nothing is promoted, or what is does not fit."""


class Busy(RankError):
    """The server has too much to do; `retry_after_s` says when to come back."""


class TimedOut(RankError):
    """No ranking in time: allow more time, or ask for less."""


class Unreachable(RankError):
    """No server, or one that still loads or already drains."""


class Refused(RankError):
    """Credentials are missing, wrong, or not for this."""


class DataLoss(RankError):
    """An artifact on the server has come to harm."""


class ServerFault(RankError):
    """The server failed; report the error id."""


CLASSES: Mapping[grpc.StatusCode, type[RankError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: UnknownName,
    grpc.StatusCode.FAILED_PRECONDITION: NotReady,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Busy,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOut,
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.UNAUTHENTICATED: Refused,
    grpc.StatusCode.PERMISSION_DENIED: Refused,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.INTERNAL: ServerFault,
    grpc.StatusCode.UNKNOWN: ServerFault,
}
"""Statuses that mean something of their own; any other is a plain `RankError`."""


def from_status(
    code: grpc.StatusCode, message: str, retry_after_ms: str | int = "", error_id: str = ""
) -> RankError:
    """The error of a status."""
    wait = int(retry_after_ms) / 1_000 if str(retry_after_ms).isdecimal() else None
    return CLASSES.get(code, RankError)(code, message, retry_after_s=wait or None, error_id=error_id)


def from_rpc(error: Any) -> RankError:
    """The error of a `grpc.RpcError`, sync or async."""
    trailers = dict(tuple(pair) for pair in error.trailing_metadata() or ())
    return from_status(
        error.code(), error.details() or "", trailers.get(RETRY_AFTER, ""), trailers.get(ERROR_ID, "")
    )
