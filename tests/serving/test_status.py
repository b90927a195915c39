"""The table from domain codes to gRPC statuses is total, and an internal error gives nothing away."""

from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from features import errors
from features.errors import Code, Exhausted, InvalidInput, SluiceError
from serving.status import INTERNAL_TEXT, LONGEST, TABLE, Gone, refusal

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, SluiceError)]


def rich(name: str) -> Any:
    """A message of google.rpc, built from its published fields, as other clients have it."""
    pool = DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    file = FileDescriptorProto(name="rpc.proto", package="google.rpc", syntax="proto3")
    file.dependency.extend(["google/protobuf/any.proto", "google/protobuf/duration.proto"])
    field = FieldDescriptorProto
    status = file.message_type.add(name="Status").field
    status.add(name="code", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    status.add(name="message", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    kinds = {"type": field.TYPE_MESSAGE, "label": field.LABEL_REPEATED}
    status.add(name="details", number=3, type_name=".google.protobuf.Any", **kinds)
    delay = file.message_type.add(name="RetryInfo").field.add(name="retry_delay", number=1)
    delay.type, delay.label, delay.type_name = field.TYPE_MESSAGE, 1, ".google.protobuf.Duration"
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"google.rpc.{name}"))


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
    """RESOURCE_EXHAUSTED carries `retry-after-ms`, and the same as other clients read it."""
    error = Exhausted("full")
    error.retry_after_s = 3.25
    metadata = dict(refusal(error, new_id).metadata)
    assert metadata["retry-after-ms"] == "3250"
    status = rich("Status").FromString(metadata["grpc-status-details-bin"])
    assert (status.code, status.message, len(status.details)) == (8, "full", 1)
    assert status.details[0].type_url == "type.googleapis.com/google.rpc.RetryInfo"
    told = rich("RetryInfo").FromString(status.details[0].value)
    assert told.retry_delay.ToTimedelta().total_seconds() == 3.25


def test_long_refusals_keep_their_details() -> None:
    """Lengths of more than one byte on the wire are right too."""
    error = Exhausted("ä" * 900)
    found = dict(refusal(error, new_id).metadata)["grpc-status-details-bin"]
    assert rich("Status").FromString(found).message == str(error)


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
