"""A real store under a catalogue: promotions are noticed, and what goes wrong with bundles harms nobody."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from cascade.load import load_ranker
from cascade.manifest import CONFIG
from cascade.ranker import Ranker
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from features.errors import NotFound, Unavailable
from serving.rankers import RETRY_S, Catalogue
from serving.settings import Rankers


class World:
    """A store with a tenant `shop`, two versions of its ranker, and a catalogue whose clock a test moves."""

    def __init__(self, folder: Path, load: Any = load_ranker) -> None:
        self.store = DirectoryStore(folder / "store")
        bundles = [write_tiny_bundle(folder / f"bundle{score}", score) for score in (3.0, 0.5)]
        self.old, self.new = (self.store.publish("shop", "default", bundle) for bundle in bundles)
        self.store.promote("shop", "default", self.old)
        self.now = 0.0
        self.catalogue = Catalogue(self.store, load, options=Rankers(sweep_s=5.0), clock=lambda: self.now)
        self.catalogue.refresh()

    @property
    def serves(self) -> str:
        return self.catalogue.get("shop", "").ranker.version

    def notice(self) -> None:
        """What a server does every second, and the loads that come of it."""
        for future in self.catalogue.notice():
            future.exception(30)


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    """What is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def world(tmp_path: Path, logs: list[Any]) -> World:
    """Already serving the old version."""
    return World(tmp_path)


def test_a_promotion_is_noticed_at_the_next_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the store's list of changes, without a look at any ranker that did not change."""
    looked: list[Any] = []
    told = world.store.promotion
    monkeypatch.setattr(world.store, "promotion", lambda *key: (looked.append(key), told(*key))[1])
    world.notice()
    world.now = 6.0
    world.notice()
    assert looked == [], "a sweep looks at stamps alone"
    world.store.promote("shop", "default", world.new)
    world.notice()
    assert world.serves == world.new
    world.store.rollback("shop", "default")
    world.notice()
    assert world.serves == world.old
    assert looked == [("shop", "default")] * 2


def test_a_promotion_whose_line_was_lost_is_found(world: World) -> None:
    """A writer that was killed before it could tell: the sweep finds the file replaced."""
    world.store.promote("shop", "default", world.new)
    world.notice()
    (world.store.root / ".changes").unlink()
    world.store.rollback("shop", "default")
    (world.store.root / ".changes").unlink()
    world.now = 6.0
    world.notice()
    assert world.serves == world.old


def test_a_new_tenant_is_loaded_before_it_is_asked_for(world: World, tmp_path: Path) -> None:
    """A first promotion is told like any other."""
    version = world.store.publish("news", "default", tmp_path / "bundle3.0")
    world.store.promote("news", "default", version)
    world.notice()
    assert ("news", "default", version) in world.catalogue.held


def test_a_bundle_that_fails_its_checks(world: World, logs: list[Any]) -> None:
    """The old one serves on, and operators are told: log, failing, and nobody who asks. A mended one is
    taken."""
    bundle = world.store.path("shop", "default", world.new)
    kept = (bundle / CONFIG).read_bytes()
    (bundle / CONFIG).write_bytes(kept + b"\n")
    world.store.promote("shop", "default", world.new)
    world.notice()
    assert world.serves == world.old
    assert dict(world.catalogue.failing()) == {("shop", "default"): world.new}
    (failed,) = [each for each in logs if each["event"] == "load_failed"]
    assert (failed["version"], failed["still_serving"]) == (world.new, world.old)
    (bundle / CONFIG).write_bytes(kept)
    world.now = RETRY_S + 1
    world.notice()
    assert world.serves == world.new
    assert dict(world.catalogue.failing()) == {}


def test_a_failure_is_over_when_it_is_rolled_back(world: World) -> None:
    """What failed is no longer wanted, so nothing fails."""
    bundle = world.store.path("shop", "default", world.new)
    (bundle / CONFIG).unlink()
    world.store.promote("shop", "default", world.new)
    world.notice()
    assert world.catalogue.failing()
    world.store.rollback("shop", "default")
    world.notice()
    assert not world.catalogue.failing()
    assert world.serves == world.old


def test_a_version_that_is_gone(world: World) -> None:
    """It cannot be promoted; one that goes after its promotion leaves the old one serving."""
    with pytest.raises(NotFound, match="no version 'beef'"):
        world.store.promote("shop", "default", "beef")
    world.store.promote("shop", "default", world.new)
    shutil.rmtree(world.store.path("shop", "default", world.new))
    world.notice()
    assert world.serves == world.old
    assert dict(world.catalogue.failing()) == {("shop", "default"): world.new}


def test_a_store_that_goes_away_and_comes_back(world: World, logs: list[Any]) -> None:
    """An unmounted disk looks like a store without tenants: what serves goes on, and is told of once each
    way."""
    root, away = world.store.root, world.store.root.with_name("away")
    root.rename(away)
    root.mkdir()
    for now in (6.0, 12.0):
        world.now = now
        world.notice()
        assert world.serves == world.old
        assert not world.catalogue.reachable
    with pytest.raises(Unavailable, match="out of reach"):
        world.catalogue.get("news", "")
    root.rmdir()
    away.rename(root)
    world.store.promote("shop", "default", world.new)
    world.now = 18.0
    world.notice()
    assert world.serves == world.new
    assert world.catalogue.reachable
    assert [each["event"] for each in logs if "store" in each["event"]] == [
        "store_out_of_reach",
        "store_is_back",
    ]


def test_a_tenant_that_was_removed(world: World, tmp_path: Path) -> None:
    """It is gone within a sweep, though others are still there."""
    world.store.publish("news", "default", tmp_path / "bundle3.0")
    shutil.rmtree(world.store.root / "shop")
    world.now = 6.0
    world.notice()
    with pytest.raises(NotFound, match="no tenant 'shop'"):
        world.catalogue.get("shop", "")
    assert len(world.catalogue.held) == 0


def test_a_bundle_that_is_replaced_while_it_loads(tmp_path: Path, logs: list[Any]) -> None:
    """What was read before and after does not go together: it is read again."""
    calls: list[Path] = []

    def load(directory: Path, name: str) -> Ranker:
        calls.append(directory)
        made = load_ranker(directory, name)
        if len(calls) == 1:
            (directory / CONFIG).touch()
        return made

    world = World(tmp_path, load)
    assert world.serves == world.old
    assert len(calls) == 2


def test_a_bundle_in_another_ones_place(tmp_path: Path, logs: list[Any]) -> None:
    """A folder that holds another version than its name says does not serve under that name."""
    world = World(tmp_path)
    target = world.store.path("shop", "default", world.new)
    shutil.rmtree(target)
    shutil.copytree(world.store.path("shop", "default", world.old), target)
    world.store.promote("shop", "default", world.new)
    world.notice()
    assert world.serves == world.old
    assert world.catalogue.failing()
