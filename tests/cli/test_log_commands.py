"""log, import and forget, as a person or a script uses them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cascade.bundle import Draft, write_bundle
from cascade.eventlog.testing import START_S, TENANT, done, shown, write_segment
from cascade.eventlog.windows import trained_on, window_entry
from cascade.events import MICROS
from cascade.store import DirectoryStore
from cascade.testing import NOON, write_tiny_bundle
from cli.main import app
from features.errors import InvalidInput, NotFound, SluiceError

DAY_US = 86_400 * MICROS


def run(*arguments: object) -> Result:
    """The result of a command line; what the program would catch is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if isinstance(result.exception, SluiceError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def report(*arguments: object) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(run(*arguments, "--json").stdout)
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two people's pages and clicks, a day apart, not compacted."""
    events = [
        shown("1", user="ann"),
        done("1", "1", "a"),
        shown("2", user="bob", at_s=86_400),
        done("2", "2", "a", at_s=86_400),
    ]
    return write_segment(tmp_path / "log", events)


def test_compact_and_stats(log: Path) -> None:
    """Counts as JSON and as a table; a second compaction has nothing to do."""
    assert report("log", "stats", "--log", log)[TENANT]["segments"] == 1
    made = report("log", "compact", "--log", log)[TENANT]
    assert (made["segments"], made["impressions"], made["interactions"], made["expired_files"]) == (
        1,
        2,
        2,
        0,
    )
    there = report("log", "stats", "--log", log, "--tenant", TENANT)[TENANT]
    assert (there["impressions"], there["interactions"], there["segments"]) == (2, 2, 0)
    assert "impressions" in run("log", "stats", "--log", log).stdout
    assert report("log", "compact", "--log", log)[TENANT]["segments"] == 0


def test_retention(log: Path) -> None:
    """Days before the last N of the calendar go: these events are over, or to come, so all or none."""
    made = report("log", "compact", "--log", log, "--keep-days", 1)[TENANT]
    assert made["expired_files"] in (0, 4)
    run("log", "compact", "--log", log, "--keep-days", 40_000)


def test_a_broken_file_holds_up_its_own_tenant_alone(log: Path) -> None:
    """It is named, the others are compacted, old days go everywhere, and the status is 2."""
    run("log", "compact", "--log", log)
    days = sorted((log / TENANT / "interactions").iterdir())
    old = days[0].with_name("day=2000-01-01")
    old.mkdir()
    (old / "s-old.parquet").write_bytes(b"old")
    (days[0] / "bad.parquet").write_bytes(b"garbage")
    write_segment(log, [shown("3"), done("3", "3", "a")], tenant="zeta")
    write_segment(log, [shown("4"), done("4", "4", "a", at_s=5)])
    result = CliRunner().invoke(app, ["log", "compact", "--log", str(log), "--keep-days", "9000", "--json"])
    rows = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (rows["zeta"]["interactions"], rows["zeta"]["problem"]) == (1, "")
    assert (rows[TENANT]["interactions"], rows[TENANT]["expired_files"]) == (None, 1)
    assert not old.exists()
    assert str(days[0] / "bad.parquet") in rows[TENANT]["problem"]
    assert "bad.parquet" in result.stderr
    told = CliRunner().invoke(app, ["log", "stats", "--log", str(log)])
    assert (told.exit_code, "zeta" in told.stdout, "bad.parquet" in told.stderr) == (2, True, True)


def test_a_log_that_is_not_there(tmp_path: Path, log: Path) -> None:
    """A misspelt folder or tenant is an error, not an empty table."""
    for arguments in (
        ("stats", "--log", tmp_path / "absent"),
        ("compact", "--log", log, "--tenant", "nobody"),
    ):
        with pytest.raises(NotFound, match="no events of"):
            run("log", *arguments)


def published(store: Path, bundle: Path, name: str) -> str:
    shelf = DirectoryStore(store)
    return shelf.publish(TENANT, name, bundle)


def trained(folder: Path, since_us: int, until_us: int) -> Path:
    """A bundle that says when its data were from."""
    from cascade.config import parse_config
    from cascade.testing import candidates

    config = parse_config('[[stages]]\nkind = "fixed"\ntable = { a = 1.0 }\n')
    files = folder / "files"
    files.mkdir(parents=True)
    features = config.feature_set()
    data = window_entry(since_us, until_us)
    draft = Draft("default", config, features, files, candidates(["a"]), data=data)
    write_bundle(folder / "bundle", draft, NOON)
    return folder / "bundle"


def test_forget_lists_the_models_of_that_time(log: Path, tmp_path: Path) -> None:
    """The person is gone; listed are versions whose window holds their events, and those that do not say."""
    day = START_S * MICROS
    store = tmp_path / "store"
    during = published(store, trained(tmp_path / "during", day - DAY_US, day + DAY_US // 2), "with-ann")
    published(store, trained(tmp_path / "after", day + DAY_US // 2, day + 2 * DAY_US), "with-bob")
    silent = published(store, write_tiny_bundle(tmp_path / "tiny", 3.0), "silent")
    found = report("forget", "--user", "ann", "--tenant", TENANT, "--log", log, "--store", store)
    assert (found["removed"]["impressions"], found["removed"]["interactions"]) == (1, 1)
    listed = {(row["ranker"], row["version"]) for row in found["models"]}  # type: ignore[index]
    assert listed == {("with-ann", during), ("silent", silent)}
    assert not [path for path in log.rglob("*") if path.is_file() and b"ann" in path.read_bytes()]
    again = run("forget", "--user", "ann", "--tenant", TENANT, "--log", log)
    assert "nothing of this person is in the log, so that models" in again.stderr


def test_forget_reads_the_store_before_it_removes(log: Path, tmp_path: Path) -> None:
    """No store: nothing is removed; a broken manifest is listed; a tenant it has not is without models."""
    forget = ("forget", "--tenant", TENANT, "--log", log)
    with pytest.raises(NotFound, match="--store"):
        run(*forget, "--user", "ann", "--store", tmp_path / "none")
    store = tmp_path / "store"
    version = published(store, write_tiny_bundle(tmp_path / "tiny", 3.0), "broken")
    (DirectoryStore(store).path(TENANT, "broken", version) / "manifest.json").write_text("{")
    found = report(*forget, "--user", "ann", "--store", store)
    assert found["removed"]["impressions"] == 1
    assert [row["trained"] for row in found["models"]] == ["its manifest cannot be read"]  # type: ignore[index]
    (tmp_path / "other").mkdir()
    found = report(*forget, "--user", "bob", "--store", tmp_path / "other")
    assert (found["removed"]["impressions"], found["models"]) == (1, [])
    again = report(*forget, "--user", "bob", "--store", store)
    assert again["models"] is None


def test_windows_touch_at_their_edges() -> None:
    """`until` is not part of a window; a manifest without one leaves the question open."""
    entry = window_entry(10 * MICROS, 20 * MICROS)
    assert [
        trained_on(entry, *span) for span in ((0, 9_999_999), (0, 10 * MICROS), (20 * MICROS, 1 << 60))
    ] == [
        False,
        True,
        False,
    ]
    assert trained_on({}, 0, 1) is None


def test_import_and_its_repetition(tmp_path: Path) -> None:
    """Events of a file are in the log, compacted; a second import of it adds nothing."""
    file = tmp_path / "events.jsonl"
    lines = [
        {"request_id": "r", "time": 1_790_000_000, "candidates": ["a", "b"]},
        {"request_id": "r", "time": 1_790_000_001, "candidate_id": "a", "type": "click"},
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    arguments = ("import", "--format", "jsonl", file, "--log", tmp_path / "log", "--tenant", "shop")
    first, second = report(*arguments), report(*arguments)
    assert (first["imported"], first["repeated"]) == (2, 0)
    assert second["repeated"] == 2
    there = report("log", "stats", "--log", tmp_path / "log")["shop"]
    assert (there["impressions"], there["interactions"]) == (1, 1)
    assert "2 events imported" in run(*arguments).stdout


def test_import_says_what_is_wrong(tmp_path: Path) -> None:
    """An unknown format, a column option of another shape, a tenant that is no name, a line of no event."""
    file = tmp_path / "events.jsonl"
    file.write_text('{"request_id": "r"}\n')
    log = ("--log", tmp_path / "log")
    for arguments, message in (
        (("--format", "csv", "--tenant", "x"), "no format 'csv'; there are metarank, ubi"),
        (("--format", "jsonl", "--tenant", "x", "--column", "qid"), "is not OURS=THEIRS"),
        (("--format", "jsonl", "--tenant", "../x"), "is no name"),
        (("--format", "jsonl", "--tenant", "x"), "events.jsonl:1: candidate_id: is missing"),
    ):
        with pytest.raises(InvalidInput, match=message):
            run("import", file, *log, *arguments)
    lenient = report("import", file, *log, "--format", "jsonl", "--tenant", "x", "--lenient")
    assert lenient["left_out"] == {"wrong": 1}


def test_help_of_the_group() -> None:
    """`sluice log --help` names its commands."""
    text = CliRunner().invoke(app, ["log", "--help"]).stdout
    assert "compact" in text
    assert "stats" in text
