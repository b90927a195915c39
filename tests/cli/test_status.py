"""`sluice status` as a person or a script uses it."""

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cascade.eventlog.testing import TENANT, write_segment
from cascade.lift.testing import LiftWorld
from cascade.manifest import MANIFEST
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from cli.main import app
from cli.status import ago, events, stage, tell_stages
from features.errors import InvalidInput, NotFound, SluiceError
from training.status.told import RankerStatus, Seen, Serving, StageLift, TenantLog

WORLD = LiftWorld.drawn(noise=(1.0, 0.05))


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that breaks no line."""
    monkeypatch.setattr("cli.console.out._width", 200)


def run(*arguments: object) -> str:
    """Standard output of a command line; what the program would catch is raised."""
    result = CliRunner().invoke(app, ["status", *(str(each) for each in arguments)])
    if isinstance(result.exception, SluiceError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose ranker knows examination, and a log of its pages; some clicks belong to no page."""
    root = tmp_path_factory.mktemp("home")
    bundle = write_tiny_bundle(root / "bundle")
    told = json.loads((bundle / MANIFEST).read_text())
    told["data"] = {"examination": WORLD.theta.tolist()}
    (bundle / MANIFEST).write_text(json.dumps(told))
    shelf = DirectoryStore(root / "store")
    version = shelf.publish(TENANT, "default", bundle)
    shelf.promote(TENANT, "default", version)
    pages = [*WORLD.events(1_000, 1, version=version)]
    names = ("stage.first", "stage.linear")
    known = [msgspec.structs.replace(one, names=names) if hasattr(one, "names") else one for one in pages]
    write_segment(root / "log", known[3:])
    return root


def test_tables_and_json_tell_the_same(home: Path) -> None:
    """Version, pages, lifts with intervals and verdicts, and the age of the last event."""
    asked = ("--store", home / "store", "--log", home / "log")
    text, found = run(*asked), json.loads(run(*asked, "--json"))
    (told,) = found["rankers"]
    assert told["serving"]["version"] in text
    assert f"{told['seen']['pages']:,}" in text
    assert [one["stage"] for one in told["seen"]["stages"]] == ["first", "linear"]
    for one in told["seen"]["stages"]:
        assert f"{one['lift']['value']:+.4f} [{one['lift']['low']:+.4f}, {one['lift']['high']:+.4f}]" in text
        assert one["verdict"] in text
    assert told["seen"]["stages"][1]["verdict"] == "earns"
    assert found["logs"][0]["last_event"]
    assert "last event" in text
    assert "by the version's training: 1.00, 0.50, 0.33" in text


def test_what_the_log_cannot_tell(home: Path) -> None:
    """A short window: pages are told, and the reasons why no lift is."""
    asked = ("--store", home / "store", "--log", home / "log")
    newest = json.loads(run(*asked, "--json"))["rankers"][0]["seen"]["last_page"]
    text = run(*asked, "--since", newest)
    assert "cannot tell: 1 pages; at least 500" in text
    assert run(*asked, "--since", "2100-01-01").count("pages") == 0


def test_the_store_alone(home: Path) -> None:
    """Without a log: what serves; a ranker without a promoted version says so."""
    text = run("--store", home / "store", "--tenant", TENANT)
    assert "judgments" in text
    assert "what people did" not in text


def test_what_cannot_be(home: Path, tmp_path: Path) -> None:
    """A store that is not there, an unknown tenant, and a time that is none."""
    with pytest.raises(NotFound, match="--store"):
        run("--store", tmp_path / "none")
    with pytest.raises(NotFound, match="nobody"):
        run("--store", home / "store", "--tenant", "nobody")
    with pytest.raises(InvalidInput, match="--since"):
        run("--store", home / "store", "--since", "yesterday")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.0, "3 seconds ago"), (90, "1.5 minutes ago"), (7_200, "2.0 hours ago"), (129_600, "1.5 days ago"),
     (-60.0, "60 seconds ahead of this clock")],
)  # fmt: skip
def test_ages_in_words(seconds: float, text: str) -> None:
    """In the largest unit that has one; a clock that is ahead is told."""
    assert ago(seconds) == text


def test_events_that_count_nothing_are_told() -> None:
    """Left out by reason; a log without events says so."""
    log = TenantLog(tenant="demo", last_event="x", age_s=5.0, events={"orphan": 3, "joined": 9})
    assert events(log) == "- demo: last event 5 seconds ago; left out: 3 orphan"
    assert events(TenantLog(tenant="demo")) == "- demo: no events"


def test_drift_that_cannot_be_told_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """A line with the reason, and no index."""
    why = "7 pages of this version have its features; at least 100 are needed"
    tell_stages(RankerStatus(tenant="t", ranker="r", serving=Serving(), seen=Seen(pages=7, drift_why=why)))
    assert capsys.readouterr().out == f"- t/r: drift since training cannot be told: {why}\n"


def test_a_refused_lift_shows_no_numbers() -> None:
    """What cannot be told stands as such, without a value that looks like one."""
    from cascade.lift.tally import Tally
    from cascade.lift.verdict import lifts

    (one,) = map(StageLift.of, lifts(Tally(("first",))))
    assert stage(one) == ("first", "any order", "0", "", "", "0", "cannot tell")
