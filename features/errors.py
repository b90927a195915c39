"""Every error that Sluice raises on purpose, on one screen.

A class carries a domain `code` that says what the caller should do next. The one table from codes to
gRPC statuses stands in `serving/status.py`; nothing else translates errors.
"""

from enum import Enum
from typing import ClassVar


class Code(Enum):
    """What the caller should do next."""

    FIX_INPUT = "fix the named field and send again"
    NOT_FOUND = "name something that exists"
    NOT_READY = "publish, promote or retrain first"
    CONFLICT = "read the current state and try again"
    SLOW_DOWN = "wait for retry_after_s and send again"
    OUT_OF_TIME = "allow more time or ask for less"
    RETRY = "try again shortly"
    DATA_LOSS = "restore or publish the artifact again"
    UNAUTHENTICATED = "send valid credentials"
    FORBIDDEN = "use credentials that may do this"
    INTERNAL = "report the error id"


class SluiceError(Exception):
    """Base of the tree. `path` names the offending field, such as `$.stages[1].keep`."""

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path

    def at(self, prefix: str) -> "SluiceError":
        """The same error, its path put under `prefix`."""
        return type(self)(self.message, path=join(prefix, self.path))


class InvalidInput(SluiceError):
    """A request, a column, a judgment or a document that cannot be right."""

    code = Code.FIX_INPUT


class InvalidConfig(InvalidInput):
    """A configuration that cannot be right; its path starts at `$`."""


class NotFound(SluiceError):
    """A tenant, ranker, version, stage kind or file that does not exist."""

    code = Code.NOT_FOUND


class NotReady(SluiceError):
    """It exists, but nothing is promoted, or its fingerprint does not match."""

    code = Code.NOT_READY


class Conflict(SluiceError):
    """A change that lost a race."""

    code = Code.CONFLICT


class Exhausted(SluiceError):
    """Over a quota, or no permit is free."""

    code = Code.SLOW_DOWN
    retry_after_s: float = 0.1


class OutOfTime(SluiceError):
    """No stage finished before the deadline."""

    code = Code.OUT_OF_TIME


class Unavailable(SluiceError):
    """A model still loads, the server drains, or a store is out of reach."""

    code = Code.RETRY


class Corrupt(SluiceError):
    """A digest or a golden score differs from what was written."""

    code = Code.DATA_LOSS


class Unauthenticated(SluiceError):
    """Credentials are missing or wrong."""

    code = Code.UNAUTHENTICATED


class Forbidden(SluiceError):
    """Valid credentials, but not for this."""

    code = Code.FORBIDDEN


def join(prefix: str, path: str) -> str:
    """One path out of two: `join("$.stages[1]", "$.keep")` is `$.stages[1].keep`."""
    rest = path.removeprefix("$")
    return prefix + (rest if not rest or rest[0] in ".[" else f".{rest}")
