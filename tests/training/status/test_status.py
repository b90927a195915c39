"""The status of rankers out of a store and an event log."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.eventlog.testing import START_S, TENANT, write_segment
from cascade.eventlog.windows import KEY as WINDOW
from cascade.eventlog.windows import window_entry
from cascade.events import MICROS, Impression
from cascade.experiments.declared import Experiment
from cascade.experiments.file import write_experiments
from cascade.experiments.lifecycle import Experiments
from cascade.lift.curve import KEY as EXAMINATION
from cascade.lift.testing import LiftWorld
from cascade.promotion import Record
from cascade.store import DirectoryStore
from cascade.testing import candidates
from features.errors import NotFound
from features.matrix import FeatureMatrix
from training.drift import profile_entry
from training.events.rules import Window
from training.status.gather import gather
from training.status.told import RankerStatus, Status

WORLD = LiftWorld.drawn(queries=10)
NOW_US = (START_S + 100_000) * MICROS
CONFIG = """
[[features]]
kind = "numeric"
name = "price"
field = "price"

[[stages]]
kind = "fixed"
name = "first"
table = { a = 1.0, b = 2.0, c = 3.0 }

[[stages]]
kind = "fixed"
name = "second"
table = { a = 1.0, b = 2.0, c = 3.0 }

[[stages]]
kind = "fixed"
name = "third"
table = { a = 1.0, b = 2.0, c = 3.0 }
"""


def publish(store: DirectoryStore, folder: Path, ranker: str = "default") -> str:
    """A bundle of the world's stages that learned from a log: window, examination, a feature's profile."""
    config = parse_config(CONFIG)
    values = np.random.default_rng(1).normal(0, 1, (500, 1)).astype(np.float32)
    matrix = FeatureMatrix(values, ("price",), np.array([0, 500]), "f")
    data = {
        **window_entry(0, START_S * MICROS),
        EXAMINATION: WORLD.theta.tolist(),
        **profile_entry(matrix),
    }
    draft = Draft("x", config, config.feature_set(), folder, candidates("abc"), {"nDCG@10": 0.5}, data)
    write_bundle(folder, draft, datetime(2026, 1, 1, tzinfo=UTC))
    return store.publish(TENANT, ranker, folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a ranker that serves and one that does not, and a log of what the first one did."""
    root = tmp_path_factory.mktemp("status")
    shelf = DirectoryStore(root / "store")
    version = publish(shelf, root / "bundle")
    publish(shelf, root / "other", "idle")
    shelf.promote(TENANT, "default", version, record=Record(version=version, time="x", forced=True))
    events = [*WORLD.events(2_000, 3, version=version, people=500)]
    events += WORLD.events(100, 4, version="before")
    names = ("price", *(f"stage.{name}" for name in WORLD.stages))
    fingerprint = parse_config(CONFIG).feature_set().fingerprint
    for number, one in enumerate(events):
        if isinstance(one, Impression):
            scores = np.frombuffer(one.features, "<f4").reshape(-1, 3)
            wide = np.column_stack([np.full(len(scores), 9.0), scores]).astype("<f4")
            events[number] = msgspec.structs.replace(
                one, features=wide.tobytes(), names=names, fingerprint=fingerprint, arm="x/y" * (number % 2)
            )
    write_segment(root / "log", events)
    return root


def status(home: Path, since_us: int = 0, tenant: str = "") -> Status:
    """All of it."""
    return gather(DirectoryStore(home / "store"), home / "log", tenant, Window(since_us=since_us), NOW_US)


@pytest.fixture(scope="module")
def told(home: Path) -> RankerStatus:
    """The ranker that serves."""
    return status(home).rankers[0]


def test_what_serves(told: RankerStatus) -> None:
    """Version, since when, what it learned from and reached, and that it was forced."""
    assert (told.tenant, told.ranker) == (TENANT, "default")
    assert told.serving.versions == 1
    assert told.serving.forced
    assert told.serving.made.startswith("2026-01-01")
    assert told.serving.data_window == window_entry(0, START_S * MICROS)[WINDOW]
    assert told.serving.metrics == {"nDCG@10": 0.5}
    assert datetime.fromisoformat(told.serving.promoted).year >= 2024


def test_what_people_did(told: RankerStatus) -> None:
    """Pages by version, people, interactions and click rates, counted from the log."""
    assert told.seen is not None
    assert told.seen.pages == 2_100
    assert [*told.seen.versions.values()] == [2_000, 100]
    assert 400 < told.seen.people <= 600
    clicks = told.seen.interactions["click"]
    assert told.seen.clicks_a_page == pytest.approx(clicks / 2_100)
    assert 0.1 < told.seen.clicked_pages < told.seen.clicks_a_page
    assert 0 < told.seen.arms["x/y"] < 2_100


def test_what_stages_earn(told: RankerStatus) -> None:
    """Lifts of the serving version by the examination of its training, near the truth."""
    assert told.seen is not None
    assert "training" in told.seen.examination_source
    assert [one.stage for one in told.seen.stages] == ["first", "second", "third"]
    second = told.seen.stages[1]
    assert second.pages == 2_000
    assert second.verdict == "earns"
    assert second.lift.low < WORLD.lift(1) < second.lift.high
    assert told.seen.scored_whole == 1.0


def test_drift_is_against_training(told: RankerStatus) -> None:
    """A feature that is 9 throughout, where training saw values around 0."""
    assert told.seen is not None
    assert [*told.seen.drift] == ["price"]
    assert told.seen.drift["price"] > 1
    assert told.seen.drift_why == ""


@pytest.mark.parametrize("pages", [0, 7])
def test_drift_of_a_few_pages_is_not_told(home: Path, pages: int) -> None:
    """Right after a promotion hardly a page is by the new version: there is no index, and it is said why."""
    seen = status(home, since_us=(START_S + 2_000 - pages) * MICROS).rankers[0].seen
    assert seen is not None
    assert seen.drift == {}
    assert seen.drift_why == f"{pages} pages of this version have its features; at least 100 are needed"


def test_a_ranker_that_nobody_promoted(home: Path) -> None:
    """It is told as such, with nothing seen of it."""
    idle = status(home).rankers[1]
    assert (idle.ranker, idle.serving.version, idle.serving.versions) == ("idle", "", 1)
    assert idle.seen is not None
    assert idle.seen.pages == 0
    assert idle.seen.stages == ()


def test_the_window_and_the_last_event(home: Path) -> None:
    """Pages since a moment; the last event is the log's, whatever the window."""
    half = status(home, since_us=(START_S + 1_000) * MICROS)
    assert half.rankers[0].seen is not None
    assert half.rankers[0].seen.pages == 1_000
    (log,) = half.logs
    assert log.age_s is not None
    assert 97_000 < log.age_s < 99_000
    assert log.events["pages"] == 1_000
    empty = status(home, since_us=NOW_US)
    assert empty.rankers[0].seen is not None
    assert empty.rankers[0].seen.pages == 0
    assert empty.rankers[0].seen.last_page == ""


def test_an_experiment_that_runs(home: Path) -> None:
    """Its name, kind and arms."""
    running = Experiment(
        name="new-blend", kind="canary", arms=("a", "b"), shares=(0.9, 0.1), seed=1, started="2026-01-01"
    )
    folder = home / "store" / TENANT / "default"
    write_experiments(folder, Experiments(running))
    found = status(home).rankers[0].serving.experiment
    (folder / "experiments.json").unlink()
    assert found is not None
    assert (found.name, found.kind, found.arms) == ("new-blend", "canary", ("a", "b"))


def test_without_a_log_the_store_alone_speaks(home: Path) -> None:
    """And so it does for a tenant without events."""
    shelf = DirectoryStore(home / "store")
    alone = gather(shelf, None, "", Window(), NOW_US)
    assert alone.logs == ()
    assert alone.rankers[0].seen is None
    (home / "empty").mkdir(exist_ok=True)
    assert gather(shelf, home / "empty", "", Window(), NOW_US).logs == ()


def test_what_is_not_there(home: Path) -> None:
    """A log or a tenant that is not there is an error; a manifest that cannot be read is told."""
    shelf = DirectoryStore(home / "store")
    with pytest.raises(NotFound, match="--log"):
        gather(shelf, home / "none", "", Window(), NOW_US)
    with pytest.raises(NotFound, match="nobody"):
        status(home, tenant="nobody")


def test_a_broken_bundle_is_told(home: Path, tmp_path: Path) -> None:
    """The others still stand."""
    shelf = DirectoryStore(tmp_path / "store")
    version = publish(shelf, tmp_path / "bundle")
    shelf.promote(TENANT, "default", version)
    (shelf.path(TENANT, "default") / "manifest.json").write_text("{")
    (found,) = gather(shelf, home / "log", "", Window(), NOW_US).rankers
    assert "manifest.json" in found.serving.problem
    assert found.seen is not None
    assert found.seen.pages == 2_100
