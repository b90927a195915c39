"""Segments become Parquet: every event exactly once, wherever the compactor dies; people are forgotten."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from cascade.eventlog.codec import encode, listed
from cascade.eventlog.compact import compact, expire
from cascade.eventlog.forget import forget
from cascade.eventlog.frames import frame
from cascade.eventlog.layout import IMPRESSIONS, INTERACTIONS, SEGMENTS, segments, tenants
from cascade.eventlog.read import scan, sizes
from cascade.eventlog.tables import SCHEMAS
from cascade.eventlog.testing import START_S, TENANT, done, matrix, shown, write_segment, writing
from cascade.events import MICROS, Event
from features.errors import Corrupt, Unavailable

DAY_S = 86_400.0


class Death(BaseException):
    """Stands for a kill: nothing catches it."""


def fill(root: Path, events: list[Event], at_a_time: int = 4) -> Path:
    """A log with these events in segments of a few."""
    for start in range(0, len(events), at_a_time):
        write_segment(root, events[start : start + at_a_time])
    return root / TENANT


def some(pages: int = 6) -> list[Event]:
    """Pages on three days, each with a click by its user."""
    made: list[Event] = []
    for page in range(pages):
        at = page % 3 * DAY_S
        made.append(shown(f"r{page}", at_s=at, user=f"u{page % 2}", scores=matrix([3, np.nan, 1])))
        made.append(done(f"e{page}", f"r{page}", "b", at_s=at + 5))
    return made


def ids(home: Path, kind: str) -> list[str]:
    """The event ids that a reader of the log gets, sorted."""
    return sorted(name for table in scan(home, kind) for name in table["event_id"].to_pylist())


def all_ids(home: Path) -> tuple[list[str], list[str]]:
    return ids(home, IMPRESSIONS), ids(home, INTERACTIONS)


FEW: list[Event] = [
    event for page in range(2) for event in (shown(f"r{page}"), done(f"e{page}", f"r{page}", "b"))
]
FEW_IDS = (["r0", "r1"], ["e0", "e1"])
WANTED = ([f"r{n}" for n in range(6)], [f"e{n}" for n in range(6)])


def test_parquet_holds_what_was_logged(tmp_path: Path) -> None:
    """By day and kind, in the documented schema, to the bit; and no segment is left."""
    event = shown(
        "r", "x", "y", scores=matrix([np.nan, -0.0]), names=("f",), features=matrix([[1.5], [np.nan]])
    )
    home = fill(tmp_path, [event, *some()])
    made = compact(home)
    assert (made.segments, made.impressions, made.interactions, made.torn_bytes) == (4, 7, 6, 0)
    assert not segments(home)
    table = pa.concat_tables(scan(home, IMPRESSIONS))
    assert table.schema.equals(SCHEMAS[IMPRESSIONS])
    row = table.filter(pa.compute.equal(table["request_id"], "r")).to_pylist()[0]
    assert matrix(row["scores"]) == event.scores
    assert matrix(row["features"]) == event.features
    assert (row["candidates"], row["positions"], row["names"]) == (["x", "y"], [1, 2], '["f"]')
    assert row["time"].timestamp() == START_S


def test_any_parquet_reader_reads_it(tmp_path: Path) -> None:
    """A plain data set with Hive partitions sees every event once, and the day as a column."""
    home = fill(tmp_path, some())
    compact(home)
    table = ds.dataset(home / INTERACTIONS, partitioning="hive", exclude_invalid_files=False).to_table()
    assert sorted(table["event_id"].to_pylist()) == WANTED[1]
    assert len(set(table["day"].to_pylist())) == 3


def test_readers_see_segments_and_parquet_alike(tmp_path: Path) -> None:
    """Before, between and after compactions a reader gets every event; a second one changes nothing."""
    home = fill(tmp_path, some()[:6])
    compact(home)
    fill(tmp_path, some()[6:])
    assert all_ids(home) == WANTED
    compact(home)
    assert all_ids(home) == WANTED
    assert compact(home).segments == 0
    assert all_ids(home) == WANTED


def test_a_segment_that_is_written_to_stays(tmp_path: Path) -> None:
    """Compaction leaves what a living process appends to, and takes it once it is sealed."""
    with writing(tmp_path) as writer:
        writer.append(TENANT, some()).durable.result(30)
        home = tmp_path / TENANT
        assert compact(home).open_segments == 1
        assert all_ids(home) == WANTED
    assert compact(home).segments == 1
    assert all_ids(home) == WANTED


def dying(after: int) -> Callable[[str], None]:
    """A mark that kills at the given step."""
    steps = count()

    def mark(_: str) -> None:
        if next(steps) == after:
            raise Death

    return mark


def test_death_at_any_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Killed between any two operations, readers and the next compaction see every event exactly once."""
    finished, after = False, 0
    while not finished:
        home = fill(tmp_path / str(after), FEW, at_a_time=2)
        try:
            compact(home, dying(after))
            finished = True
        except Death:
            assert all_ids(home) == FEW_IDS
            fill(tmp_path / str(after), FEW[:1])
        compact(home)
        assert all_ids(home) == FEW_IDS
        assert not list(home.rglob(".*.new"))
        after += 1
    assert after > 20


def test_death_twice_in_a_row(tmp_path: Path) -> None:
    """A compactor that dies while it mends what another left behind is no worse."""
    for after in range(0, 20, 6):
        home = fill(tmp_path / str(after), FEW, at_a_time=2)
        with pytest.raises(Death):
            compact(home, dying(after))
        with suppress(Death):  # where the first one was nearly done, the second may have nothing left to do
            compact(home, dying(1))
        compact(home)
        assert all_ids(home) == FEW_IDS


def test_a_torn_tail_is_reported_and_costs_nothing_accepted(tmp_path: Path) -> None:
    """What a killed process had half written is passed over; all before it is there."""
    home = fill(tmp_path, some(), at_a_time=100)
    with segments(home)[0].open("ab") as file:
        file.write(b"\xf5SL\n\x99\x00\x00\x00half")
    assert compact(home).torn_bytes == 12
    assert all_ids(home) == WANTED


def test_a_foreign_record_stops_with_its_file(tmp_path: Path) -> None:
    """A whole record of something else is named, and nothing is removed."""
    home = fill(tmp_path, some())
    (home / SEGMENTS / "00000000000000001-x.seg").write_bytes(frame(b"not ours"))
    with pytest.raises(Corrupt, match="00000000000000001-x"):
        compact(home)
    (home / SEGMENTS / "00000000000000001-x.seg").unlink()
    assert all_ids(home) == WANTED


@pytest.mark.parametrize("fields", [{"positions": (1, 10**12)}, {"ranked": 1 << 40}, {"teams": (0, 1 << 40)}])
def test_a_record_beyond_the_schema_stops_with_its_file(tmp_path: Path, fields: dict[str, Any]) -> None:
    """What Parquet has no room for, and no Sluice writes, is named; readers say the same; nothing goes."""
    home = fill(tmp_path, some())
    odd = home / SEGMENTS / "00000000000000001-x.seg"
    odd.write_bytes(frame(listed([encode(shown("odd", "a", "b", **fields))])))
    with pytest.raises(Corrupt, match="00000000000000001-x"):
        compact(home)
    with pytest.raises(Corrupt, match="00000000000000001-x"):
        all_ids(home)
    odd.unlink()
    assert all_ids(home) == WANTED


def test_a_foreign_parquet_file_is_named(tmp_path: Path) -> None:
    """A file with another schema in the log's folder is an error with its name, not an empty answer."""
    home = fill(tmp_path, some())
    compact(home)
    day = next((home / INTERACTIONS).iterdir())
    pq.write_table(pa.table({"a": [1]}), day / "foreign.parquet")
    with pytest.raises(
        Corrupt, match=r"foreign\.parquet: is no file of this log: it has no column 'event_id'"
    ):
        ids(home, INTERACTIONS)


BROKEN: dict[str, tuple[str, Callable[[Path], None]]] = {
    "another schema": ("x.parquet", lambda path: pq.write_table(pa.table({"a": [1]}), path)),
    "no Parquet": ("x.parquet", lambda path: path.write_bytes(b"garbage")),
    "no merged file": ("m-x.parquet", lambda path: path.write_bytes(b"garbage")),
    "nothing": ("x.parquet", lambda path: path.write_bytes(b"")),
    "a time that is none": (
        "x.parquet",
        lambda path: pq.write_table(pa.table({name: ["?"] for name in SCHEMAS[INTERACTIONS].names}), path),
    ),
    "no event id": ("x.parquet", lambda path: pq.write_table(without_id(), path)),
}


def without_id() -> pa.Table:
    """A record that has the log's columns, and no value in one that must have one."""
    schema = SCHEMAS[INTERACTIONS]
    values = {name: [0 if name == "time" else None if name == "event_id" else "a"] for name in schema.names}
    plain = {"time": pa.int64(), "event_id": pa.string()}
    columns = [
        pa.array(values[one.name], plain.get(one.name, pa.string())) for one in schema if not one.nullable
    ]
    return pa.table(columns, [one.name for one in schema if not one.nullable])


@pytest.mark.parametrize("name", BROKEN)
def test_a_merge_names_a_broken_file_and_touches_nothing(tmp_path: Path, name: str) -> None:
    """Foreign or damaged Parquet stops a compaction with its path; once it is gone, all events are there."""
    home = fill(tmp_path, some())
    compact(home)
    fill(tmp_path, some()[:6])
    day = next((home / INTERACTIONS).iterdir())
    file, write = BROKEN[name]
    write(day / file)
    with pytest.raises(Corrupt) as caught:
        compact(home)
    assert caught.value.path == str(day / file)
    assert (day / file).exists()
    (day / file).unlink()
    compact(home)
    assert all_ids(home) == WANTED


@pytest.mark.parametrize("name", ["another schema", "no Parquet", "no merged file", "nothing"])
def test_sizes_name_a_broken_file(tmp_path: Path, name: str) -> None:
    """What cannot be counted is an error with its path."""
    home = fill(tmp_path, some())
    compact(home)
    file, write = BROKEN[name]
    day = next((home / INTERACTIONS).iterdir())
    write(day / file)
    with pytest.raises(Corrupt) as caught:
        sizes(home)
    assert caught.value.path == str(day / file)


def test_damaged_pages_are_named(tmp_path: Path) -> None:
    """A file whose footer is whole, and whose data are not, is an error with its path."""
    home = fill(tmp_path, some())
    compact(home)
    file = next((home / INTERACTIONS).rglob("*.parquet"))
    data = bytearray(file.read_bytes())
    data[4:200] = b"\xff" * 196
    file.write_bytes(data)
    with pytest.raises(Corrupt) as caught:
        ids(home, INTERACTIONS)
    assert caught.value.path == str(file)


def test_files_of_other_times_are_merged(tmp_path: Path) -> None:
    """A file without a column that came later, and one with a column of somebody's own, become one file."""
    home = fill(tmp_path, some(1))
    compact(home)
    file = next((home / IMPRESSIONS).rglob("*.parquet"))
    table = pq.read_table(file, partitioning=None)
    pq.write_table(table.drop_columns(["teams"]).append_column("own", pa.array(["x"])), file)
    fill(tmp_path, [shown("later")])
    assert compact(home).merged == 2
    (merged,) = (home / IMPRESSIONS).rglob("*.parquet")
    assert pq.read_table(merged, partitioning=None).sort_by("event_id")["own"].to_pylist() == [None, "x"]
    assert ids(home, IMPRESSIONS) == ["later", "r0"]


def test_a_merge_takes_no_more_than_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of many files is merged over several runs, and a join finds each event once throughout."""
    from cascade.eventlog.dedupe import firsts

    pages: list[Event] = [shown(f"r{n:02d}") for n in range(12)]
    home = fill(tmp_path, [*pages, pages[0]], at_a_time=1)
    with monkeypatch.context() as patch:
        patch.setattr("cascade.eventlog.compact.MERGE_BYTES", 0)
        compact(home)
    files = [file.stat().st_size for file in (home / IMPRESSIONS).rglob("*.parquet")]
    assert len(files) == 13
    monkeypatch.setattr("cascade.eventlog.compact.MERGE_BYTES", max(files) + 1)
    merged = []
    while made := compact(home).merged:
        merged.append(made)
        table = pa.concat_tables(scan(home, IMPRESSIONS))
        once = table.take(pa.array(firsts(table, IMPRESSIONS)))
        assert sorted(once["event_id"].to_pylist()) == [f"r{n:02d}" for n in range(12)]
    assert 2 <= merged[0] <= 5
    assert len(merged) > 1


def test_the_earliest_record_of_an_event_stays(tmp_path: Path) -> None:
    """Records of one event that differ: the earliest wins, in whatever order they came."""
    versions: list[Event] = [
        done("e", "r", "b", at_s=at, value=value) for at, value in ((9, 1.0), (3, 2.0), (3, 3.0))
    ]
    kept = []
    for turn, order in enumerate([(0, 1, 2), (2, 1, 0), (1, 0, 2)]):
        home = fill(tmp_path / str(turn), [versions[n] for n in order], at_a_time=1)
        assert compact(home).duplicates == 2
        kept.append(pa.concat_tables(scan(home, INTERACTIONS)).to_pylist())
    assert kept[0] == kept[1] == kept[2]
    assert kept[0][0]["time"].timestamp() == START_S + 3


def test_the_same_event_id_on_another_page_is_another_event(tmp_path: Path) -> None:
    """Callers that number the events of each page from one lose nothing."""
    home = fill(tmp_path, [done("1", "r1", "a"), done("1", "r2", "a")])
    compact(home)
    assert ids(home, INTERACTIONS) == ["1", "1"]


def test_old_days_expire(tmp_path: Path) -> None:
    """Retention removes whole days before the one named, and no later one."""
    home = fill(tmp_path, some())
    compact(home)
    days = sorted(path.name.removeprefix("day=") for path in (home / INTERACTIONS).iterdir())
    assert expire(home, days[1]) == 2
    assert ids(home, INTERACTIONS) == ["e1", "e2", "e4", "e5"]
    assert sizes(home).first_day == days[1]


def test_scanning_a_span_of_time(tmp_path: Path) -> None:
    """Only what lies in the span comes back, from segments as from Parquet."""
    home = fill(tmp_path, some())
    span = (int((START_S + DAY_S) * MICROS), int((START_S + 2 * DAY_S) * MICROS))
    for _ in range(2):
        found = [name for table in scan(home, INTERACTIONS, span) for name in table["event_id"].to_pylist()]
        assert sorted(found) == ["e1", "e4"]
        compact(home)


def test_a_person_is_forgotten_and_nobody_else(tmp_path: Path) -> None:
    """Impressions, clicks on them, and what names the user go, from segments and Parquet; the rest stays."""
    home = fill(tmp_path, some()[:8])
    compact(home)
    fill(tmp_path, [*some()[8:], done("named", "elsewhere", "a", user="u0")])
    gone = forget(home, "u0")
    assert (gone.impressions, gone.interactions) == (3, 4)
    assert gone.first_us == START_S * MICROS
    assert all_ids(home) == (["r1", "r3", "r5"], ["e1", "e3", "e5"])
    assert not [path for path in home.rglob("*") if path.is_file() and b"u0" in path.read_bytes()]
    assert forget(home, "u0").impressions == 0


def test_forgetting_reaches_a_segment_that_is_being_written(tmp_path: Path) -> None:
    """A running server lets its segment go when asked; where one does not, nothing is removed."""
    with writing(tmp_path) as writer:
        writer.append(TENANT, some()).durable.result(30)
        home = tmp_path / TENANT
        assert forget(home, "u0").impressions == 3
        assert ids(home, IMPRESSIONS) == ["r1", "r3", "r5"]
    from cascade.eventlog.segment import Disk, open_segment

    held = open_segment(home, 1, "held", Disk())
    with pytest.raises(Unavailable, match="still writes"):
        forget(home, "u1", patience_s=0.2, sleep=lambda _: None)
    held.seal()
    assert ids(home, IMPRESSIONS) == ["r1", "r3", "r5"]


def test_tenants_of_a_log(tmp_path: Path) -> None:
    """Folders that are no names are no tenants."""
    fill(tmp_path, some()[:1])
    (tmp_path / "Not A Tenant").mkdir()
    assert tenants(tmp_path) == (TENANT,)
    assert tenants(tmp_path / "absent") == ()
