"""The table from domain codes to gRPC statuses is total, and an internal error gives nothing away."""

import grpc
import pytest

from features import errors
from features.errors import Code, Exhausted, InvalidInput, SluiceError
from serving.status import INTERNAL_TEXT, LONGEST, TABLE, Gone, refusal

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, SluiceError)]


def new_id() -> str:
    """The one id."""
    return "the-id"


def test_the_table_is_total() -> None:
    """Every code has a status, and no status stands for two of them."""
    assert set(TABLE) == set(Code)
    assert len(set(TABLE.values())) == len(Code)
    assert grpc.StatusCode.OK not in TABLE.values()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_its_status(kind: type[SluiceError]) -> None:
    """An error becomes the status of its code, its message kept unless it is internal."""
    refused = refusal(kind("what is wrong", path="a.b"), new_id)
    assert refused.status is TABLE[kind.code]
    internal = kind.code is Code.INTERNAL
    assert refused.message == (INTERNAL_TEXT if internal else "a.b: what is wrong")


def test_the_statuses_of_the_contract() -> None:
    """The rows of the design that callers build on."""
    assert TABLE[Code.FIX_INPUT] is grpc.StatusCode.INVALID_ARGUMENT
    assert TABLE[Code.NOT_READY] is grpc.StatusCode.FAILED_PRECONDITION
    assert TABLE[Code.SLOW_DOWN] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert TABLE[Code.OUT_OF_TIME] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert TABLE[Code.RETRY] is grpc.StatusCode.UNAVAILABLE


def test_exhausted_says_when_to_come_back() -> None:
    """RESOURCE_EXHAUSTED carries `retry-after-ms`."""
    error = Exhausted("full")
    error.retry_after_s = 0.25
    assert refusal(error, new_id).metadata == (("retry-after-ms", "250"),)


def test_an_unforeseen_error_gives_only_an_id() -> None:
    """The message of an unforeseen error stays on the server."""
    refused = refusal(RuntimeError("secret"), new_id)
    assert (refused.status, refused.message) == (grpc.StatusCode.INTERNAL, INTERNAL_TEXT)
    assert refused.metadata == (("error-id", "the-id"),)


def test_a_caller_that_left_is_cancelled() -> None:
    """Work that nobody waits for is CANCELLED, and no error."""
    assert refusal(Gone(), new_id).status is grpc.StatusCode.CANCELLED


def test_messages_fit_into_trailers() -> None:
    """A message that repeats a caller's endless text is cut."""
    assert len(refusal(InvalidInput("x" * 10_000), new_id).message) == LONGEST
