"""Whatever a caller sends, the answer names what is wrong, and the server lives."""

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

Ask = Callable[..., pb.RankRequest]
Change = Callable[[pb.RankRequest], Any]
METHOD = "/sluice.v1.Ranking/Rank"


def numbers(names: list[str], data: bytes) -> pb.NumberMatrix:
    """A number matrix."""
    return pb.NumberMatrix(names=names, data=data)


def add(request: pb.RankRequest, name: str, **values: Any) -> None:
    """One column more."""
    request.candidates.columns.append(pb.Column(name=name, **values))


def vectors(**fields: Any) -> pb.VectorColumn:
    """A vector column."""
    return pb.VectorColumn(**fields)


def floats(*values: float) -> bytes:
    """Little-endian float32."""
    return np.array(values, "<f4").tobytes()


BAD: dict[str, tuple[Change, str]] = {
    "empty query": (lambda r: r.query.Clear(), "query.text: is empty"),
    "query of spaces": (lambda r: setattr(r.query, "text", " \n"), "query.text: is empty"),
    "endless query": (lambda r: setattr(r.query, "text", "x" * 70_000), "query.text: has 70000 bytes"),
    "duplicate ids": (
        lambda r: r.candidates.ids.__setitem__(2, "0"),
        "candidates.ids[2]: '0' is also row 0",
    ),
    "empty id": (lambda r: r.candidates.ids.__setitem__(1, ""), "candidates.ids[1]: is empty"),
    "endless id": (
        lambda r: r.candidates.ids.__setitem__(1, "x" * 2_000),
        "candidates.ids[1]: has 2000 bytes",
    ),
    "long column": (
        lambda r: r.candidates.columns[0].number.values.append(1),
        "columns[0].number: has 4 rows for 3 ids",
    ),
    "short text": (
        lambda r: add(r, "title", text=pb.TextColumn(values=["a"])),
        "candidates.columns[1].text: has 1 rows",
    ),
    "infinity": (
        lambda r: r.candidates.columns[0].number.values.__setitem__(1, float("-inf")),
        "candidates.columns[0].number.values[1]: a number must be finite",
    ),
    "infinite moment": (
        lambda r: add(r, "released", timestamp=pb.TimestampColumn(seconds=[0, 0, float("inf")])),
        "candidates.columns[1].timestamp.seconds[2]: a timestamp must be finite",
    ),
    "infinity in the matrix": (
        lambda r: (
            r.candidates.ClearField("columns"),
            r.candidates.numbers.CopyFrom(numbers(["price"], floats(1, np.inf, 3))),
        ),
        "candidates.numbers.names[0][1]: a number must be finite",
    ),
    "short matrix": (
        lambda r: r.candidates.numbers.CopyFrom(numbers(["x"], b"12345678")),
        "candidates.numbers.data: has 8 bytes for 3 rows x 1 columns x 4 bytes = 12",
    ),
    "a column twice": (
        lambda r: add(r, "price", number=pb.NumberColumn(values=[1, 2, 3])),
        "a second column named 'price'",
    ),
    "a column twice, once in the matrix": (
        lambda r: r.candidates.numbers.CopyFrom(numbers(["price"], floats(1, 2, 3))),
        "candidates.numbers.names[0]: a second column named 'price'",
    ),
    "nameless column": (
        lambda r: setattr(r.candidates.columns[0], "name", ""),
        "candidates.columns[0].number: has no name",
    ),
    "column without values": (lambda r: add(r, "title"), "candidates.columns[1]: has no values of any kind"),
    "unknown column": (
        lambda r: add(r, "titel", text=pb.TextColumn(values=["a", "b", "c"])),
        "candidates.columns[1].text: the ranker reads no column 'titel'; did you mean 'title'?",
    ),
    "wrong kind": (
        lambda r: add(r, "title", number=pb.NumberColumn(values=[1, 2, 3])),
        "candidates.columns[1].number: is a number column where a text column is read",
    ),
    "no date": (
        lambda r: add(r, "released", text=pb.TextColumn(values=["2024-01-01", "soon", ""])),
        "candidates.columns[1].text[1]: 'soon' is not an ISO 8601 date",
    ),
    "counts that do not add up": (
        lambda r: add(r, "tags", keyword=pb.KeywordColumn(values=["a"], counts=[1, 1, 0])),
        "candidates.columns[1].keyword.counts: add up to 2 for 1 values",
    ),
    "missing beyond the rows": (
        lambda r: add(r, "title", text=pb.TextColumn(values=["a", "b", "c"], missing=[3])),
        "candidates.columns[1].text.missing[0]: names row 3 of 3",
    ),
    "vectors without elements": (
        lambda r: add(r, "meaning", vector=vectors(dimension=0)),
        "candidates.columns[1].vector.dimension: is 0 where 1 to 8 is allowed",
    ),
    "vectors too wide": (
        lambda r: add(r, "meaning", vector=vectors(dimension=9, data=bytes(108))),
        "candidates.columns[1].vector.dimension: is 9 where 1 to 8 is allowed",
    ),
    "vectors of other bytes": (
        lambda r: add(r, "meaning", vector=vectors(dimension=2, data=bytes(20))),
        "candidates.columns[1].vector.data: has 20 bytes for 3 vectors x 2 elements x 4 bytes = 24",
    ),
    "vectors of an unknown type": (
        lambda r: add(r, "meaning", vector=vectors(dimension=2, data=bytes(24), type=99)),
        "candidates.columns[1].vector.type: no element type 99",
    ),
    "an infinite vector": (
        lambda r: add(r, "meaning", vector=vectors(dimension=1, data=floats(0, np.inf, 0))),
        "candidates.columns[1].vector.data[1]: a vector must be finite",
    ),
    "a vector that is partly no number": (
        lambda r: add(r, "meaning", vector=vectors(dimension=2, data=floats(0, 0, 0, 0, np.nan, 0))),
        "candidates.columns[1].vector.data[2]: is not a number in part of a vector",
    ),
    "a query vector of another dimension": (
        lambda r: (
            add(r, "meaning", vector=vectors(dimension=2, data=bytes(24))),
            r.query.vectors["meaning"].CopyFrom(pb.Vector(data=bytes(12))),
        ),
        'query.vectors["meaning"]: has 3 elements where the candidates\' column has 2',
    ),
    "a query vector of odd bytes": (
        lambda r: r.query.vectors["meaning"].CopyFrom(pb.Vector(data=b"123")),
        'query.vectors["meaning"].data: has 3 bytes',
    ),
    "a query vector that is no number": (
        lambda r: r.query.vectors["meaning"].CopyFrom(pb.Vector(data=floats(np.nan))),
        'query.vectors["meaning"].data: a query vector must be finite',
    ),
    "a value of no kind": (
        lambda r: r.query.values["device"].SetInParent(),
        'query.values["device"]: has no value',
    ),
    "an infinite value": (
        lambda r: setattr(r.user.values["age"], "number", float("inf")),
        'user.values["age"]: a number must be finite',
    ),
    "token vectors, which nothing reads": (
        lambda r: add(
            r, "meaning", token_vectors=pb.TokenVectorColumn(dimension=1, data=floats(1, 2), counts=[1, 0, 1])
        ),
        "candidates.columns[1].token_vectors: is a token_vectors column where a vector column is read",
    ),
    "token vectors that do not add up": (
        lambda r: add(
            r, "meaning", token_vectors=pb.TokenVectorColumn(dimension=1, data=floats(1), counts=[1, 0, 1])
        ),
        "candidates.columns[1].token_vectors.data: has 4 bytes for 2 vectors",
    ),
    "too many asked for": (lambda r: setattr(r, "top_k", 501), "top_k: is 501, more than the 500 allowed"),
    "a budget below nothing": (lambda r: setattr(r.time_budget, "seconds", -1), "time_budget: is negative"),
    "a tenant that is a path": (
        lambda r: setattr(r, "tenant", "../../etc"),
        "tenant: '../../etc' is no name",
    ),
    "a ranker that is a path": (lambda r: setattr(r, "ranker", "a/b"), "ranker: 'a/b' is no name"),
}


def refused(stub: rpc.RankingStub, request: pb.RankRequest) -> tuple[grpc.StatusCode, str]:
    """The status and message of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Rank(request, timeout=20)
    return caught.value.code(), caught.value.details()


def outcome(opened: grpc.Channel, raw: bytes) -> str:
    """The status that those bytes end with."""
    try:
        opened.unary_unary(METHOD)(raw, timeout=20)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_named_by_its_path(stub: rpc.RankingStub, ask: Ask, case: str) -> None:
    """What cannot be right is INVALID_ARGUMENT, with the field's path and what is wrong with it."""
    change, message = BAD[case]
    request = ask([1.0, 2.0, 3.0])
    change(request)
    status, details = refused(stub, request)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert message in details


def test_too_many_candidates(stub: rpc.RankingStub, ask: Ask) -> None:
    """10,000 candidates are ranked, and one more is refused."""
    assert len(stub.Rank(ask([1.0] * 10_000), timeout=20).results) == 10_000
    status, details = refused(stub, ask([1.0] * 10_001))
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert "candidates.ids: has 10001 candidates, more than the 10000 allowed" in details


def test_a_text_of_five_megabytes(stub: rpc.RankingStub, ask: Ask) -> None:
    """A text beyond the limit names its column and row."""
    request = ask([1.0, 2.0])
    add(request, "title", text=pb.TextColumn(values=["short", "x" * 5_000_000]))
    status, details = refused(stub, request)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert "candidates.columns[1].text.values[1]: has 5000000 bytes, more than the 1048576 allowed" in details


@pytest.mark.parametrize(
    ("tenant", "ranker", "message"),
    [
        ("nobody", "", "tenant: no tenant 'nobody'"),
        ("demo", "other", "ranker: no ranker 'other'; there are default"),
        ("demo", "default@v9", "ranker: no version 'v9' of 'default'"),
    ],
)
def test_unknown_names(stub: rpc.RankingStub, ask: Ask, tenant: str, ranker: str, message: str) -> None:
    """An unknown tenant, ranker or version is NOT_FOUND, and other tenants are not given away."""
    status, details = refused(stub, ask([1.0], tenant=tenant, ranker=ranker))
    assert (status, details) == (grpc.StatusCode.NOT_FOUND, message)


def test_invalid_utf8(opened: grpc.Channel, stub: rpc.RankingStub, ask: Ask) -> None:
    """A string of bytes that are no UTF-8 is the caller's fault, on every method, and the server lives."""
    raw = ask([1.0], ["good"]).SerializeToString().replace(b"good", b"\xff\xfe\xfd\xfc")
    for call in (
        lambda: opened.unary_unary(METHOD)(raw, timeout=20),
        lambda: list(opened.unary_stream("/sluice.v1.Ranking/RankStream")(raw, timeout=20)),
        lambda: list(opened.stream_stream("/sluice.v1.Ranking/RankMany")(iter([raw]), timeout=20)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "not a valid message" in caught.value.details()
    assert stub.Rank(ask([1.0]), timeout=20).final


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=300))
def test_random_bytes(opened: grpc.Channel, raw: bytes) -> None:
    """No bytes whatever make the server fail: it answers, or says what is wrong with them."""
    assert outcome(opened, raw) in {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_one_wrong_byte(opened: grpc.Channel, at: int, byte: int) -> None:
    """A valid request with one byte changed never ends in INTERNAL."""
    request = pb.RankRequest(
        tenant="demo", query=pb.Query(text="q"), candidates=pb.Candidates(ids=["a", "b"])
    )
    add(request, "title", text=pb.TextColumn(values=["x", "y"], missing=[1]))
    add(request, "tags", keyword=pb.KeywordColumn(values=["k", "l", "m"], counts=[1, 2]))
    add(request, "meaning", vector=vectors(dimension=2, data=floats(1, 2, 3, 4)))
    request.candidates.numbers.CopyFrom(numbers(["price"], floats(1, 2)))
    raw = bytearray(request.SerializeToString())
    raw[at % len(raw)] = byte
    # the byte may make a time budget, so a deadline may pass
    assert outcome(opened, bytes(raw)) in {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "DEADLINE_EXCEEDED"}


def test_no_candidates(stub: rpc.RankingStub, ask: Ask) -> None:
    """An empty candidate list is an empty ranking."""
    answer = stub.Rank(pb.RankRequest(tenant="demo", query=pb.Query(text="q")), timeout=20)
    assert (len(answer.results), answer.final, answer.degraded) == (0, True, False)


def test_one_candidate(stub: rpc.RankingStub, ask: Ask) -> None:
    """A query with one candidate is ranked like any other."""
    answer = stub.Rank(ask([7.0], ["only"]), timeout=20)
    assert [(each.id, each.score, each.placed_by) for each in answer.results] == [("only", 7.0, "first")]


def test_not_a_number_is_missing(stub: rpc.RankingStub, ask: Ask) -> None:
    """NaN in a number column means missing: the item goes to the end without a score."""
    answer = stub.Rank(ask([1.0, float("nan"), 3.0]), timeout=20)
    assert [each.id for each in answer.results] == ["2", "0", "1"]
    assert not answer.results[2].HasField("score")
    assert answer.results[2].placed_by == "input"


def test_unknown_columns_may_be_ignored(stub: rpc.RankingStub, ask: Ask) -> None:
    """With `ignore_unknown_columns` a column that nobody reads is a warning."""
    request = ask([1.0, 2.0], ignore_unknown_columns=True)
    add(request, "titel", text=pb.TextColumn(values=["a", "b"]))
    answer = stub.Rank(request, timeout=20)
    assert [each.id for each in answer.results] == ["1", "0"]
    assert any("did you mean 'title'?" in warning for warning in answer.warnings)


def test_what_was_not_sent_is_told(stub: rpc.RankingStub, ask: Ask) -> None:
    """A column that the ranker reads and nobody sent is missing everywhere, and the answer says so."""
    assert any(
        "title, tags, released, meaning not sent" in each
        for each in stub.Rank(ask([1.0]), timeout=20).warnings
    )
