"""No service fails over what a caller sends, and no name leads anywhere: Ranking, Feedback, Rankers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.promotion import Record
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from serving.settings import Settings
from serving.testing import channel, running
from sluice.v1 import feedback_pb2, rankers_pb2, ranking_pb2

CLICK = feedback_pb2.Interaction(event_id="1", request_id="r", candidate_id="a", type="CLICK", dwell_s=1.0)
PAGE = feedback_pb2.Impression(request_id="r", candidates=["a", "b"], positions=[1, 2], scores=[2.0, 1.0])
QUERY = ranking_pb2.Query(text="q")
KEY: dict[str, Any] = {"tenant": "shop", "ranker": "main"}
METHODS: dict[str, Any] = {
    "Ranking/RankStream": ranking_pb2.RankRequest(query=QUERY, **KEY),
    "Ranking/RankMany": ranking_pb2.RankRequest(query=QUERY, **KEY),
    "Feedback/Record": feedback_pb2.RecordRequest(tenant="shop", impressions=[PAGE], interactions=[CLICK]),
    "Feedback/RecordStream": feedback_pb2.RecordRequest(tenant="shop", interactions=[CLICK]),
    "Rankers/ListRankers": rankers_pb2.ListRankersRequest(tenant="shop"),
    "Rankers/GetRanker": rankers_pb2.GetRankerRequest(**KEY),
    "Rankers/ListVersions": rankers_pb2.ListVersionsRequest(**KEY),
    "Rankers/Promote": rankers_pb2.PromoteRequest(version="v", expected_version="w", **KEY),
    "Rankers/Rollback": rankers_pb2.RollbackRequest(expected_version="w", **KEY),
    "Rankers/DescribePlan": rankers_pb2.DescribePlanRequest(version="v", **KEY),
}
"""A request of every method that no other test of any bytes asks."""
WELL = frozenset(
    ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "ABORTED", "DEADLINE_EXCEEDED")
)
LEADING_ASTRAY = (
    "../shop",
    "/etc/passwd",
    "shop/main",
    "shop\\main",
    "..",
    "shop.",
    "shop\0",
    "shop\n",
    "Shop",
    "\uff53hop",
    "sh\u00f6p",
    "s\u200bhop",
    "\u202eshop",
    "%2e%2e%2fshop",
    "x" * 10_000,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DirectoryStore:
    """Tenant `shop` with a ranker that serves, and an event log beside it."""
    root = tmp_path_factory.mktemp("any") / "store"
    root.mkdir()
    made = DirectoryStore(root)
    version = made.publish("shop", "main", write_tiny_bundle(root.parent / "bundle"))
    made.promote("shop", "main", version, "", Record(version=version, time="now"))
    return made


@pytest.fixture(scope="module")
def opened(store: DirectoryStore) -> Iterator[grpc.Channel]:
    """A channel to a server over that store."""
    told = Settings(port=0, poll_s=60.0, store=str(store.root))
    with running(store, told) as server, channel(server) as made:
        yield made


def outcome(opened: Any, method: str, raw: bytes) -> tuple[str, str]:
    """The status and the message that those bytes end with."""
    path = f"/sluice.v1.{method}"
    calls: dict[str, Callable[[], Any]] = {
        "RankStream": lambda: list(opened.unary_stream(path)(raw, timeout=20)),
        "RankMany": lambda: list(opened.stream_stream(path)(iter([raw]), timeout=20)),
        "RecordStream": lambda: list(opened.stream_stream(path)(iter([raw]), timeout=20)),
    }
    try:
        calls.get(method.split("/")[1], lambda: opened.unary_unary(path)(raw, timeout=20))()
    except grpc.RpcError as error:
        return str(error.code().name), str(error.details())
    return "OK", ""


def everything(root: Path) -> set[Path]:
    """All that lies around the store, but for the event log of the tenant that there is."""
    return {path for path in root.parent.rglob("*") if "store-log" not in path.parts or path.is_dir()}


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25, deadline=None)
@given(raw=st.binary(max_size=200), at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_any_bytes_are_answered(opened: grpc.Channel, method: str, raw: bytes, at: int, byte: int) -> None:
    """Random bytes, and a request with one byte changed, end in a status that tells what to do."""
    changed = bytearray(METHODS[method].SerializeToString())
    changed[at % len(changed)] = byte
    assert outcome(opened, method, raw)[0] in WELL
    assert outcome(opened, method, bytes(changed))[0] in WELL


@pytest.mark.parametrize("method", METHODS)
def test_bytes_that_are_no_utf8(opened: grpc.Channel, method: str) -> None:
    """They are INVALID_ARGUMENT wherever they stand."""
    raw = METHODS[method].SerializeToString().replace(b"shop", b"\xff\xfe\xfd\xfc")
    status, message = outcome(opened, method, raw)
    assert status == "INVALID_ARGUMENT"
    assert "strings must be UTF-8" in message


@pytest.mark.parametrize("method", METHODS)
def test_no_name_leads_anywhere(opened: grpc.Channel, store: DirectoryStore, method: str) -> None:
    """Slashes, dots, controls, look-alikes and 10,000 characters in the place of a tenant or a ranker."""
    before = everything(store.root)
    for name in LEADING_ASTRAY:
        for field in {"tenant", "ranker"} & {*METHODS[method].DESCRIPTOR.fields_by_name}:
            request = type(METHODS[method])()
            request.CopyFrom(METHODS[method])
            setattr(request, field, name)
            status, message = outcome(opened, method, request.SerializeToString())
            failed_alone = method == "Ranking/RankMany" and status == "OK"
            assert failed_alone or status == "INVALID_ARGUMENT", (field, name, message)
            assert len(message) < 1_000
            assert str(store.root) not in message
    assert everything(store.root) == before
