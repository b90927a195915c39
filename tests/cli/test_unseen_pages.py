"""The gate and what a candidate learned from: one trained on a log that teaches nothing must not pass."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cascade.eventlog.testing import START_S, write_segment
from cascade.load import load_ranker
from cascade.manifest import read_manifest
from cascade.store import DirectoryStore
from cli.main import app
from features.errors import NotReady
from training.events.join import Join
from training.from_log.testing import TENANT, TREES, Market, clicks, serving
from training.offpolicy.compare import Asked, compare

PAGES, LEARNED, EVERY_S = 3_000, 1_800, 30
MIDDLE = datetime.fromtimestamp(START_S + LEARNED * EVERY_S, UTC).isoformat()
LARGE = TREES.replace("leaves = 4", "leaves = 31").replace("trees = 40", "trees = 120")


@dataclass
class Null:
    """A shop where every item is as good as any other, and a log of it."""

    folder: Path
    store: DirectoryStore

    def run(self, *words: object) -> Result:
        """A command line about the shop; what the program would catch is raised."""
        where = ("--store", self.store.root, "--tenant", TENANT)
        result = CliRunner().invoke(app, [str(each) for each in (*words, *where)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def trained(self, *more: object) -> str:
        """The version that a training makes."""
        known = ("--log", self.folder / "log", "--config", self.folder / "cascade.toml")
        file = self.folder / "trained.json"
        self.run("train", *known, "--behaviour", self.folder / "quick.toml", "--json", file, *more)
        return str(json.loads(file.read_text())["version"])

    def evaluated(self, version: str) -> Path:
        """The JSON of a version against the log."""
        file = self.folder / "found.json"
        self.run("evaluate", "--log", self.folder / "log", "--version", version, "--json", file)
        return file


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> Null:
    """The shop; nobody promotes in it."""
    folder = tmp_path_factory.mktemp("null")
    store, _ = serving(folder)
    market = replace(Market.of(seed=0), appeal=np.full(80, 0.3))
    write_segment(folder / "log", clicks(market, PAGES, noise=0.3, every_s=EVERY_S), tenant=TENANT)
    (folder / "cascade.toml").write_text(LARGE)
    (folder / "quick.toml").write_text("resamples = 0\n")
    return Null(folder, store)


@pytest.fixture(scope="module")
def version(null: Null) -> str:
    """A version of large trees that learned from the earlier part of the log."""
    return null.trained("--until", MIDDLE)


def test_a_candidate_is_compared_on_pages_that_it_has_not_seen(null: Null, version: str) -> None:
    """The pages after its window, from where that ends; on those, noise learned by heart is no gain."""
    found = json.loads(null.evaluated(version).read_text())
    data = read_manifest(null.store.path(TENANT, "default", version)).manifest.data
    assert found["since"] == data["data_window"]["until"] == MIDDLE
    assert found["pages"] == PAGES - LEARNED
    assert any("finished learning, are left out" in note for note in found["notes"])
    assert found["estimates"][0]["difference"]["low"] <= 0


def test_the_gate_refuses_pages_that_the_candidate_learned_from(null: Null, version: str) -> None:
    """On the whole log it is surely better by heart, and such an evaluation does not count."""
    ranker = load_ranker(null.store.path(TENANT, "default", version), "default")
    whole = compare(
        ranker, Join(root=null.folder / "log", tenant=TENANT, features=True), Asked("default"), {}
    )
    assert whole.estimates[0].difference.low > 0
    assert (whole.since, whole.pages, whole.refused) == (None, PAGES, ())
    file = null.folder / "whole.json"
    file.write_bytes(msgspec.json.encode(whole))
    told = f"it holds pages from before {MIDDLE}, when the version finished learning"
    for evaluation, refused in ((file, True), (null.evaluated(version), False)):
        result = null.run("promote", "--version", version, "--evaluation", evaluation)
        assert result.exit_code == 1
        assert (told in result.stderr) == refused


def test_a_candidate_that_learned_from_every_page_waits_for_new_ones(null: Null) -> None:
    """The error says why no page is left, and the way out."""
    with pytest.raises(NotReady, match=r"before this version finished learning .*; wait .*--until 1d"):
        null.evaluated(null.trained())
