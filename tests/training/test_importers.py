"""Other programs' logs become our events, joined as our own are; what cannot be right is named or counted."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.eventlog.compact import compact
from cascade.eventlog.layout import IMPRESSIONS
from cascade.eventlog.read import scan
from cascade.eventlog.testing import TENANT, done, matrix, write_segment
from cascade.events import Event, Impression, Interaction
from features.errors import InvalidInput, NotFound
from training.events.importers import FORMATS
from training.events.importers.shared import Problems
from training.events.join import Join

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes JSON lines, and gives their path."""

    def made(*records: Any, name: str = "events.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        return path

    return made


def read(kind: str, *files: Path, strict: bool = True, **renamed: str) -> tuple[list[Event], Problems]:
    problems = Problems(strict=strict)
    return list(FORMATS[kind](list(files), renamed, problems)), problems


def clicked(events: list[Event], root: Path) -> dict[tuple[str, str], bool]:
    """(request, candidate) → whether the join finds it clicked."""
    write_segment(root, events)
    tables = [pages.table for pages in Join(root=root, tenant=TENANT)]
    rows = pa.concat_tables(tables).unify_dictionaries().to_pylist()
    return {(row["request_id"], row["candidate_id"]): row["clicked"] for row in rows}


RANKING: dict[str, Any] = {
    "event": "ranking",
    "id": "81f46c34-a4bb-469c-8708-f8127cd67d27",
    "timestamp": "1599391467000",
    "user": "u1",
    "session": "s1",
    "fields": [{"name": "query", "value": "cat"}, {"name": "source", "value": "search"}],
    "items": [
        {"id": "item3", "relevancy": 2.0, "fields": [{"name": "price", "value": 9.5}]},
        {"id": "item1", "fields": [{"name": "price", "value": 1}, {"name": "colour", "value": "red"}]},
        {"id": "item2"},
    ],
}
CLICK: dict[str, Any] = {
    "event": "interaction",
    "id": "0f4c0036",
    "ranking": RANKING["id"],
    "timestamp": 1599391468000,
    "user": "u1",
    "type": "click",
    "item": "item1",
}


def test_metarank_events(write: Write, tmp_path: Path) -> None:
    """Rankings with their items' numbers as features, and interactions; items and users are counted."""
    item = {"event": "item", "id": "x", "item": "item1", "timestamp": 1, "fields": []}
    stray = {**CLICK, "id": "2", "ranking": None}
    events, problems = read("metarank", write(RANKING, [CLICK, item], stray))
    shown, done = events
    assert isinstance(shown, Impression)
    assert isinstance(done, Interaction)
    assert (shown.query, shown.values, shown.user) == ("cat", '{"source":"search"}', "u1")
    assert (shown.candidates, shown.names) == (("item3", "item1", "item2"), ("price", "relevancy"))
    assert shown.features == matrix([[9.5, 2.0], [1.0, np.nan], [np.nan, np.nan]])
    assert (shown.time_us, done.time_us) == (1599391467000000, 1599391468000000)
    assert (done.type, done.event_id) == ("CLICK", "0f4c0036")
    assert sorted(problems.left_out.values()) == [1, 1]
    assert clicked(events, tmp_path / "log") == {
        (RANKING["id"], "item3"): False,
        (RANKING["id"], "item1"): True,
        (RANKING["id"], "item2"): False,
    }


QUERY: dict[str, Any] = {
    "query_id": "q1",
    "client_id": "c",
    "user_query": "tv",
    "timestamp": "2026-11-20T10:00:00Z",
    "query_response_objects_ids": ["a", "b", "a"],
    "query_attributes": {"device": "phone"},
}


def ubi_event(
    action: str, ordinal: int | None = None, query: str = "q1", object_id: str = "b"
) -> dict[str, Any]:
    return {
        "action_name": action,
        "query_id": query,
        "client_id": "c",
        "timestamp": "2026-11-20T10:00:05.250Z",
        "event_attributes": {
            "object": {"object_id": object_id, "internal_id": "7"},
            "position": {"ordinal": ordinal},
        },
    }


def test_ubi_queries_and_events(write: Write, tmp_path: Path) -> None:
    """In any order, as search hits too; a query without objects is made of its impressions."""
    bare = {"query_id": "q2", "timestamp": "2026-11-20T10:00:00Z", "user_query": "radio"}
    seen = [ubi_event("impression", place, "q2", name) for place, name in ((3, "z"), (1, "x"))]
    search = {"action_name": "on_search", "query_id": "q1", "timestamp": "2026-11-20T10:00:00Z"}
    lost = {"query_id": "q3", "timestamp": "2026-11-20T10:00:00Z"}
    file = write(ubi_event("click", 2), {"_id": "1", "_source": QUERY}, *seen, bare, search, lost)
    events, problems = read("ubi", file)
    done, first, second = events
    assert isinstance(first, Impression)
    assert isinstance(second, Impression)
    assert isinstance(done, Interaction)
    assert (first.candidates, first.query, first.values) == (("a", "b"), "tv", '{"device":"phone"}')
    assert (second.candidates, second.positions) == (("x", "z"), (1, 3))
    assert (done.type, done.candidate_id, done.position, done.time_us % 1_000_000) == (
        "CLICK",
        "b",
        2,
        250_000,
    )
    assert problems.left_out == {"events without an object": 1, "queries without objects": 1}
    assert clicked(events, tmp_path / "log")["q1", "b"]


def test_types_of_others_become_ours(write: Write) -> None:
    """What everybody calls alike is ours; the rest are names in lower case."""
    names = ["click", "add_to_cart", "Add to Cart", "buy", "View Detail!", "CLICK"]
    events, _ = read("ubi", write(*(ubi_event(name) for name in names)))
    found = [event.type for event in events if isinstance(event, Interaction)]
    assert found == ["CLICK", "CART", "CART", "PURCHASE", "view_detail", "CLICK"]


PLAIN: list[dict[str, Any]] = [
    {"request_id": "r", "time": "2026-11-20T10:00:00", "candidates": ["a", "b"], "scores": [1.0, None]},
    {"request_id": "r", "candidate_id": "b", "type": "DWELL", "time": 1_795_168_801.5, "dwell_s": 4},
]


def test_json_lines(write: Write, tmp_path: Path) -> None:
    """Our own names, plain or gzipped; an id that is absent is made of the content, the same each time."""
    file = write(*PLAIN)
    events, _ = read("jsonl", file)
    packed = tmp_path / "events.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert read("jsonl", packed)[0] == events
    shown, done = events
    assert isinstance(shown, Impression)
    assert isinstance(done, Interaction)
    assert (shown.scores, done.dwell_s) == (matrix([1.0, np.nan]), 4.0)
    assert done.event_id
    assert (done.time_us - shown.time_us) == 1_500_000


def test_renamed_fields(write: Write) -> None:
    """`--column OURS=THEIRS` reads a file in other names."""
    file = write({"qid": "r", "ts": 5, "docs": ["a"]})
    (shown,), _ = read("jsonl", file, request_id="qid", time="ts", candidates="docs")
    assert (shown.request_id, shown.time_us) == ("r", 5_000_000)


def test_parquet_of_both_kinds(tmp_path: Path) -> None:
    """The log's own Parquet can be imported again, to the bit, and any file with the needed columns."""
    features = matrix([[1.5], [np.nan]])
    event = Impression(
        event_id="r",
        request_id="r",
        time_us=5,
        candidates=("a", "b"),
        features=features,
        names=("f",),
        fingerprint="x",
    )
    compact(write_segment(tmp_path / "log", [event]) / TENANT)
    (file,) = (tmp_path / "log" / TENANT / IMPRESSIONS).rglob("*.parquet")
    (shown,), _ = read("parquet", file)
    assert isinstance(shown, Impression)
    assert (shown.features, shown.names, shown.fingerprint, shown.time_us) == (features, ("f",), "x", 5)
    times = pa.array([7_000_000], pa.timestamp("us"))
    pq.write_table(
        pa.table({"qid": ["r"], "candidate_id": ["a"], "type": ["click"], "time": times}), tmp_path / "c"
    )
    (done,), _ = read("parquet", tmp_path / "c", request_id="qid")
    assert isinstance(done, Interaction)
    assert (done.request_id, done.time_us, done.type) == ("r", 7_000_000, "CLICK")


def test_a_foreign_parquet_file(tmp_path: Path) -> None:
    """It is named, with the column that it lacks and the way out; so is one that is no Parquet at all."""
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "foreign.parquet")
    with pytest.raises(
        InvalidInput, match=r"foreign\.parquet: has no column 'request_id' \(it has a, b\).*--column"
    ):
        read("parquet", tmp_path / "foreign.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InvalidInput, match="is no Parquet file"):
        read("parquet", tmp_path / "text.parquet")
    with pytest.raises(NotFound):
        read("parquet", tmp_path / "absent.parquet")
    with pytest.raises(InvalidInput, match="--column: no column 'colour' here"):
        read("parquet", tmp_path / "foreign.parquet", colour="a")


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("jsonl", {"request_id": "r", "candidates": ["a"]}, "time: None is no time"),
    ("jsonl", {**PLAIN[0], "candidates": []}, "candidates: is empty"),
    ("jsonl", {**PLAIN[0], "candidates": ["a", "a"]}, "candidates: 'a' is shown twice"),
    ("jsonl", {**PLAIN[0], "positions": [2, 1]}, "positions: must be 2 numbers that rise"),
    ("jsonl", {**PLAIN[0], "scores": [1]}, "scores: has 1 rows for 2 candidates"),
    ("jsonl", {**PLAIN[0], "names": ["f"], "features": [[1]]}, "features: has 1 rows for 2 candidates"),
    ("jsonl", {**PLAIN[1], "time": "yesterday"}, "time: 'yesterday' is no ISO 8601 time"),
    ("jsonl", {**PLAIN[1], "time": 1e18}, "time: 1e+18 is after the year 6500"),
    ("jsonl", {**PLAIN[1], "time": 1e308}, "time: 1e+308 is after the year 6500"),
    ("jsonl", {**PLAIN[1], "value": 10**400}, "value: 1000000"),
    ("jsonl", {**PLAIN[0], "positions": [1, 10**12]}, "positions: 1000000000000 is no whole number"),
    ("jsonl", {**PLAIN[0], "teams": [0, 10**12]}, "teams: 1000000000000 is no whole number"),
    ("jsonl", {**PLAIN[0], "scores": [1e300, 1]}, "scores: holds a number that is too large for float32"),
    ("jsonl", {**PLAIN[0], "scores": 7}, "scores: must be a list"),
    ("jsonl", {**PLAIN[0], "propensities": [0, 1]}, "propensities: must be above 0 and at most 1"),
    ("jsonl", {**PLAIN[0], "names": ["f", "f"], "features": [1] * 4}, "names: names a feature twice"),
    ("jsonl", {**PLAIN[0], "values": "{"}, "values: not JSON"),
    ("jsonl", {**PLAIN[0], "values": [1]}, "values: must be an object"),
    ("jsonl", {**PLAIN[1], "dwell_by": "me"}, "dwell_by: 'me' is neither"),
    ("jsonl", {**PLAIN[1], "dwell_s": "long"}, "dwell_s: 'long' is no number"),
    ("jsonl", {**PLAIN[1], "candidate_id": ""}, "candidate_id: is missing or empty"),
    ("metarank", {**RANKING, "items": {}}, "items: must be a list"),
    ("metarank", {**RANKING, "timestamp": None}, "timestamp: None is no time"),
    ("metarank", {**CLICK, "id": None}, "id: is missing or empty"),
    ("metarank", {"event": "bogus"}, "event: 'bogus' is none of metarank's events"),
    ("ubi", {**ubi_event("click"), "timestamp": None}, "time: None is no time"),
    ("ubi", {**ubi_event("click"), "event_attributes": {"object": [1]}}, "event_attributes.object: must be"),
    ("ubi", {**ubi_event("click"), "event_attributes": [1]}, "event_attributes: must be an object"),
    ("ubi", {**QUERY, "query_response_objects_ids": "ab"}, "query_response_objects_ids: must be a list"),
]


@pytest.mark.parametrize(("kind", "record", "message"), WRONG)
def test_a_wrong_record_is_named_or_counted(
    write: Write, kind: str, record: dict[str, Any], message: str
) -> None:
    """Strict, its line and field are told; lenient, it is left out and the others are read."""
    good = {"jsonl": PLAIN[1], "metarank": CLICK, "ubi": ubi_event("click")}[kind]
    file = write(good, record)
    with pytest.raises(InvalidInput) as caught:
        read(kind, file)
    assert f"{file}:2: {message}" in str(caught.value)
    events, problems = read(kind, file, strict=False)
    assert len(events) == 1
    assert problems.left_out == {"wrong": 1}
    assert message in problems.examples[0]


@pytest.mark.parametrize("kind", ["jsonl", "metarank", "ubi"])
def test_a_line_that_cannot_be_read_is_named_or_counted(tmp_path: Path, kind: str) -> None:
    """What is not JSON, no object or not UTF-8 ends a strict import; a lenient one goes on after it."""
    good = json.dumps({"jsonl": PLAIN[1], "metarank": CLICK, "ubi": ubi_event("click")}[kind]).encode()
    file = tmp_path / "events.jsonl"
    for bad, message in (
        (b'{"request_id": "r", "ti', "not JSON"),
        (b'{"query_id": "\xff"}', "not UTF-8"),
        (b"3", "metarank" if kind == "metarank" else "not a JSON object"),
    ):
        file.write_bytes(b"\n".join((good, bad, good, b"")))
        with pytest.raises(InvalidInput, match=f":2: .*{message}.*--lenient") as caught:
            read(kind, file)
        assert str(caught.value).count(str(file)) == 1
        events, problems = read(kind, file, strict=False)
        assert len(events) == 2
        assert problems.left_out == {"wrong": 1}


FLOATS = st.one_of(st.sampled_from([0, -1, 1.5, 10**12, 1e300, -1e300, 10**400]), st.floats(allow_nan=False))
SCALARS = st.one_of(
    st.none(), st.booleans(), FLOATS, st.text(max_size=3), st.sampled_from(["7", "[1]", "{}"])
)
ANYTHING = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.lists(st.lists(SCALARS, max_size=2), max_size=2),
    st.dictionaries(st.sampled_from(["name", "value", "id", "object", "ordinal"]), SCALARS, max_size=3),
)
SPOILT = {
    "jsonl": (
        {**PLAIN[0], "positions": [1, 2], "names": ["f"], "features": [1, 2], "teams": [0, 1]},
        {**PLAIN[0], "propensities": [0.5, 1], "values": {"a": 1}, "ranked": 9, "user": "u", "event_id": "e"},
        {**PLAIN[1], "value": 1, "position": 1, "dwell_by": "client"},
    ),
    "metarank": (RANKING, CLICK),
    "ubi": (QUERY, ubi_event("click", 2), ubi_event("impression", 1)),
}


@settings(max_examples=30, deadline=None)
@given(st.data())
@pytest.mark.parametrize("kind", SPOILT)
def test_whatever_stands_in_a_field(kind: str, data: st.DataObject) -> None:
    """Any field of any record may hold anything: it is an event that the log can keep, or it is counted."""
    records = [dict(record) for record in SPOILT[kind]]
    for record in records:
        for name in data.draw(st.lists(st.sampled_from(sorted(record)), max_size=2)):
            record[name] = data.draw(ANYTHING, label=name)
    with TemporaryDirectory() as folder:
        file = Path(folder, "events.jsonl")
        file.write_text("".join(f"{json.dumps(each)}\n" for each in records))
        events, problems = read(kind, file, strict=False)
        home = write_segment(Path(folder, "log"), [*events, done("own", "own", "a")]) / TENANT
        made = compact(home)
        assert made.impressions + made.interactions == len(events) + 1
        join = Join(root=home.parent, tenant=TENANT, features=True)
        assert sum(len(pages.table) for pages in join) == join.counts.items
        assert kind == "ubi" or len(events) + sum(problems.left_out.values()) == len(records)


LARGE: list[tuple[str, dict[str, Any], str]] = [
    ("jsonl", {**PLAIN[1], "candidate_id": "x" * 10_000_000}, "candidate_id: has 10000000 characters"),
    ("jsonl", {**PLAIN[1], "user": "x" * 10_000_000}, "user: has 10000000 characters"),
    ("jsonl", {**PLAIN[0], "query": "x" * 10_000_000}, "query: has 10000000 characters"),
    ("jsonl", {**PLAIN[0], "values": {"a": "x" * 10_000_000}}, "values: has more than the 65536"),
    ("jsonl", {**PLAIN[0], "candidates": [f"{n:050}" for n in range(200_000)]}, "candidates: has more than"),
    ("jsonl", {**PLAIN[0], "names": ["f"], "features": [1] * 2_500_000}, "features: has 10000000 bytes"),
    ("metarank", {**CLICK, "item": "x" * 10_000_000}, "candidate_id: has 10000000 characters"),
    ("ubi", ubi_event("click", object_id="x" * 10_000_000), "event_attributes.object: has 10000000"),
]


@pytest.mark.parametrize(("kind", "record", "message"), LARGE)
def test_an_event_of_ten_megabytes(write: Write, kind: str, record: dict[str, Any], message: str) -> None:
    """It is refused by its field in a message of a few words, or left out and counted."""
    file = write(record)
    with pytest.raises(InvalidInput, match=message) as caught:
        read(kind, file)
    assert len(str(caught.value)) < 500
    assert read(kind, file, strict=False)[1].left_out == {"wrong": 1}


def test_json_that_nests_without_end(tmp_path: Path) -> None:
    """A line of nothing but brackets is no JSON object, and no stack overflow."""
    file = tmp_path / "events.jsonl"
    file.write_text("[" * 200_000 + "\n" + json.dumps(PLAIN[1]))
    for kind in ("jsonl", "metarank", "ubi"):
        assert "events.jsonl:1: not JSON: " in read(kind, file, strict=False)[1].examples[0]


def test_parquet_of_other_writers(tmp_path: Path) -> None:
    """Times in nanoseconds, as pandas and Spark write them, need no pandas; a damaged page names its file."""
    times = pa.array([1_700_000_000_123_456_789] * 1_000, pa.timestamp("ns", "Europe/Berlin"))
    ids = [f"{row * 7_919}" for row in range(1_000)]
    table = pa.table({"request_id": ids, "candidate_id": ids, "type": ["click"] * 1_000, "time": times})
    file = tmp_path / "nanos.parquet"
    pq.write_table(table, file)
    assert {event.time_us for event in read("parquet", file)[0]} == {1_700_000_000_123_456}
    data = bytearray(file.read_bytes())
    data[100:1_000] = bytes(900)
    file.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"nanos\.parquet: cannot be read"):
        read("parquet", file, strict=False)


def test_names_that_are_no_json(write: Write) -> None:
    """A text of names is JSON; another is wrong as the rest of a record can be."""
    file = write({**PLAIN[0], "names": "[f", "features": [1, 2]}, PLAIN[1])
    events, problems = read("jsonl", file, strict=False)
    assert (len(events), problems.left_out) == (1, {"wrong": 1})


def test_an_import_twice_counts_once(write: Write, tmp_path: Path) -> None:
    """Ids that the format lacks are made of the content, so that a second import changes nothing."""
    events, _ = read("ubi", write(QUERY, ubi_event("click", 2)))
    again, _ = read("ubi", write(QUERY, ubi_event("click", 2)))
    home = write_segment(tmp_path / "log", [*events, *again]) / TENANT
    assert compact(home).duplicates == 2
    assert sum(map(len, scan(home, IMPRESSIONS))) == 1
