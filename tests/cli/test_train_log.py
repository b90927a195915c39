"""`sluice train --log`, end to end: a log written by the log's own writer, a store, a published version."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cascade.eventlog.testing import START_S, done, write_segment, writing
from cascade.load import load_ranker
from cascade.manifest import read_manifest
from cascade.store import DirectoryStore
from cli.main import app
from features.errors import InvalidInput, NotFound, NotReady, SluiceError
from training.drift import read_profiles
from training.from_log.testing import TENANT, TREES, Market, clicks, serving

PAGES = 1_500
START = datetime.fromtimestamp(START_S, UTC)


@dataclass
class Shop:
    """A store where a ranker by fame serves, its log, and a cascade to learn."""

    folder: Path
    store: DirectoryStore
    version: str

    def train(self, *more: object, log: Path | None = None) -> Result:
        """A training; what the program would catch is raised."""
        known = ["--log", log or self.folder / "log", "--store", self.store.root, "--tenant", TENANT]
        words = ["train", *known, "--config", self.folder / "cascade.toml", *more]
        result = CliRunner().invoke(app, [str(each) for each in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def told(self, *more: object) -> dict[str, Any]:
        """What it writes as JSON."""
        self.train(*more, "--json", self.folder / "found.json")
        found: dict[str, Any] = json.loads((self.folder / "found.json").read_text())
        return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop; nobody promotes in it."""
    folder = tmp_path_factory.mktemp("shop")
    store, version = serving(folder)
    with writing(folder / "log") as writer:
        writer.append(TENANT, clicks(Market.of(), PAGES)).durable.result()
    (folder / "cascade.toml").write_text(TREES)
    (folder / "quick.toml").write_text("resamples = 5\n")
    return Shop(folder, store, version)


def test_a_log_becomes_a_published_version(shop: Shop) -> None:
    """The version is published and not promoted; its manifest tells the window, the counts and the curve."""
    result = shop.train("--behaviour", shop.folder / "quick.toml", "--json", shop.folder / "found.json")
    assert result.exit_code == 0
    found = json.loads((shop.folder / "found.json").read_text())
    assert shop.store.promotion(TENANT, "default").version == shop.version
    assert f"published {TENANT}/default@{found['version']}; `sluice promote`" in result.stdout
    manifest = read_manifest(shop.store.path(TENANT, "default", found["version"])).manifest
    assert manifest.data["data_window"]["since"] == START.isoformat()
    assert manifest.data["log"]["pages"] == PAGES
    assert manifest.data["log"]["joined"] == manifest.data["log"]["interactions"] > 500
    assert manifest.data["examination"][0] == 1.0
    assert set(read_profiles(manifest.data)) == {"price", "fame"}
    assert load_ranker(shop.store.path(TENANT, "default", found["version"]), "default").version


def test_events_that_fall_out_are_counted_and_shown(shop: Shop) -> None:
    """Orphans, late and repeated events are in the table and in the JSON, and change nothing else."""
    log = shop.folder / "messy"
    events = clicks(Market.of(), PAGES)
    stray = [
        done("lost", "no-such-page", "d1"),
        done("late", "r3", events[0].candidates[0], at_s=9 * 86_400.0),  # type: ignore[union-attr]
        done("absent", "r3", "nowhere", at_s=200.0),
    ]
    with writing(log) as writer:
        for some in ([*events, *stray], events[:40]):
            writer.append(TENANT, some).durable.result()
    write_segment(log, events[:40], tenant=TENANT)
    result = shop.train("--behaviour", shop.folder / "quick.toml", "--json", shop.folder / "m.json", log=log)
    counts = json.loads((shop.folder / "m.json").read_text())["data"]["log"]
    assert (counts["orphan"], counts["late"] + counts["not_shown"]) == (1, 2)
    assert counts["duplicate_impressions"] + counts["duplicate_interactions"] == 40
    assert "duplicate impressions" in result.stdout
    assert "an estimate from clicks" in result.stdout


def test_promotion_is_asked_for_and_last_goes_on_from_there(shop: Shop, tmp_path: Path) -> None:
    """`--promote` lets it serve; the next training begins where this one's window ended."""
    store, _ = serving(tmp_path)
    end = START + timedelta(minutes=1_000)
    own = ("--store", store.root, "--behaviour", shop.folder / "quick.toml")
    first = shop.told(*own, "--until", end.isoformat(), "--promote")
    assert first["promoted"]
    assert store.promotion(TENANT, "default").version == first["version"]
    second = shop.told(*own, "--since", "last", "--continue")
    assert second["data"]["base"] == first["version"]
    assert second["data"]["log"]["since"] == first["data"]["data_window"]["until"] == end.isoformat()
    assert second["data"]["log"]["pages"] == PAGES - 1_000
    assert store.promotion(TENANT, "default").version == first["version"]


@pytest.mark.parametrize(
    ("more", "error", "told"),
    [
        (["--since", "soon"], InvalidInput, "--since: 'soon' is not an ISO 8601 date"),
        (["--since", "last"], InvalidInput, "no promoted bundle says where"),
        (["--since", "1d", "--until", "2d"], InvalidInput, "empty or reversed"),
        (["--unbiased", "magic"], InvalidInput, "--unbiased: there are auto, ips"),
        (["--behaviour", "no.toml"], NotFound, "no.toml"),
        (["--tenant", "nobody"], NotFound, "no events of tenant 'nobody'"),
        (["--ranker", "other"], NotReady, "1500 pages of other rankers"),
        (["--until", "2020-01-01"], NotReady, "no page"),
    ],
)
def test_what_cannot_be_right_is_one_sentence(
    shop: Shop, more: list[str], error: type[SluiceError], told: str
) -> None:
    """Each names what is wrong, and the way out."""
    with pytest.raises(error, match=told):
        shop.train(*more)


def train(shop: Shop, *more: str) -> Any:
    """What comes of `sluice train` for the shop's cascade with these options."""
    config = str(shop.folder / "cascade.toml")
    known = ["train", "--store", str(shop.store.root), "--tenant", TENANT, "--config", config]
    return CliRunner().invoke(app, [*known, *more])


def test_one_of_collection_and_log_is_needed(shop: Shop) -> None:
    """Without either there is nothing to learn from."""
    assert isinstance(train(shop).exception, InvalidInput)


@pytest.mark.parametrize(
    ("more", "option"),
    [
        (["--log", "log", "--queries", "dev"], "--queries"),
        (["--log", "log", "--base", "platform"], "--base"),
        (["--collection", "data", "--since", "7d"], "--since"),
        (["--collection", "data", "--log", "log", "--continue"], "--continue"),
    ],
)
def test_an_option_that_nothing_would_read_is_refused(shop: Shop, more: list[str], option: str) -> None:
    """Rather than that a training quietly does something else than what was asked for."""
    result = train(shop, *more)
    assert isinstance(result.exception, InvalidInput)
    assert result.exception.path == option


def test_a_config_of_other_features_is_refused(shop: Shop) -> None:
    """The promoted bundle's features are those of the log."""
    (shop.folder / "other.toml").write_text(TREES.replace('field = "fame"', 'field = "price"'))
    with pytest.raises(NotReady, match="are not those of the promoted bundle"):
        shop.train("--config", shop.folder / "other.toml")
