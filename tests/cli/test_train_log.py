"""`sluice train --log`, end to end: a log written by the log's own writer, a store, a published version."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cascade.eventlog.testing import START_S, writing
from cascade.load import load_ranker
from cascade.manifest import read_manifest
from cascade.store import DirectoryStore
from cli.main import app
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
