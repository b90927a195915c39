"""The laws on experiments that every store keeps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cascade.experiments.declared import Experiment
from cascade.experiments.lifecycle import Experiments
from cascade.memory_store import MemoryStore
from cascade.store import DirectoryStore, Store
from cascade.testing import write_tiny_bundle
from features.errors import Conflict, NotFound, NotReady
from features.registry import kinds

STORES: dict[str, Callable[[Path], Store]] = {
    "directory": lambda folder: DirectoryStore(folder / "store"),
    "memory": lambda folder: MemoryStore(),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store with two versions, of which none is promoted."""
    made = STORES[request.param](tmp_path)
    for number in range(2):
        made.publish("shop", "main", write_tiny_bundle(tmp_path / f"b{number}", 3.0 + number))
    return made


def experiment(store: Store, name: str = "test") -> Experiment:
    """One of both versions, the first the control."""
    arms = store.versions("shop", "main")
    started = "2026-11-20T12:00:00+00:00"
    return Experiment(name=name, kind="canary", arms=arms, shares=(0.5, 0.5), seed=1, started=started)


def test_every_registered_store_is_held_to_these_laws() -> None:
    """A store cannot be added without them."""
    assert set(kinds("sluice.stores")) <= set(STORES)


def test_none_runs_before_one_is_started(store: Store) -> None:
    """A ranker without experiments says so; one that is not there is told."""
    assert store.experiments("shop", "main") == Experiments()
    with pytest.raises(NotReady):
        store.stop_experiment("shop", "main", "now")
    with pytest.raises(NotFound, match="no ranker 'mian'"):
        store.experiments("shop", "mian")


def test_it_runs_until_it_is_stopped(store: Store) -> None:
    """What was started is what runs, another one waits, and what was stopped is remembered."""
    one = experiment(store)
    store.promote("shop", "main", one.control)
    store.start_experiment("shop", "main", one)
    assert store.experiments("shop", "main").running == one
    with pytest.raises(Conflict, match="'test' runs"):
        store.start_experiment("shop", "main", experiment(store, "other"))
    assert store.stop_experiment("shop", "main", "later").ended == "later"
    after = store.experiments("shop", "main")
    assert (after.running, after.find("test").ended) == (None, "later")


def test_it_needs_what_serves(store: Store) -> None:
    """Nothing promoted, or another version than the control, and nothing is written."""
    one = experiment(store)
    with pytest.raises(NotReady, match="nothing is promoted"):
        store.start_experiment("shop", "main", one)
    store.promote("shop", "main", one.arms[1])
    with pytest.raises(Conflict, match="while the control is"):
        store.start_experiment("shop", "main", one)
    assert store.experiments("shop", "main") == Experiments()
