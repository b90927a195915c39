"""The list of what changed in a store."""

from pathlib import Path

import pytest

from cascade import changes as module
from cascade.changes import FILE, DirectoryChanges, Untold, announce
from cascade.store import PROMOTED, DirectoryStore
from cascade.testing import write_tiny_bundle


@pytest.fixture
def changes(tmp_path: Path) -> DirectoryChanges:
    """A reader of a store with nothing in it."""
    return DirectoryChanges(tmp_path, PROMOTED)


def test_a_reader_is_told_what_came_since(tmp_path: Path, changes: DirectoryChanges) -> None:
    """At first nothing can be told; then each ranker once, and nothing twice."""
    assert changes.read() is None
    announce(tmp_path, "shop", "main")
    assert changes.read() is None, "the file is new: what happened before is not known"
    assert changes.read() == ()
    for ranker in ("main", "side", "main"):
        announce(tmp_path, "shop", ranker)
    assert changes.read() == (("shop", "main"), ("shop", "side"))
    assert changes.read() == ()
    assert list(changes.latest()) == [("shop", "main"), ("shop", "side")]


def test_a_line_that_is_being_written_is_read_when_it_is_whole(
    tmp_path: Path, changes: DirectoryChanges
) -> None:
    """Half a line is left for later; what is no line of ours is passed over."""
    announce(tmp_path, "shop", "main")
    changes.read()
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"\xff\nnews/ma")
        file.flush()
        assert changes.read() == ()
        file.write(b"in\n")
    assert changes.read() == (("news", "main"),)


def test_a_file_that_was_shortened_cannot_be_told_from(
    tmp_path: Path, changes: DirectoryChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays within its bound, keeps the newest lines whole, and readers look at everything once."""
    monkeypatch.setattr(module, "MOST_BYTES", 200)
    announce(tmp_path, "shop", "r0")
    changes.read()
    for number in range(100):
        announce(tmp_path, "shop", f"r{number}")
    assert (tmp_path / FILE).stat().st_size <= 220
    newest = list(changes.latest())
    assert newest[:3] == [("shop", f"r{number}") for number in (99, 98, 97)]
    assert all(tenant == "shop" and ranker[0] == "r" for tenant, ranker in newest)
    assert changes.read() is None
    assert changes.read() == ()


def test_a_store_tells_of_promotions(tmp_path: Path) -> None:
    """Promote and rollback are told and have another stamp; publishing, and promoting the same again, are
    not."""
    store = DirectoryStore(tmp_path / "store")
    one, two = (
        store.publish("shop", "main", write_tiny_bundle(tmp_path / str(score), score)) for score in (1.0, 2.0)
    )
    changes, key = store.changes(), ("shop", "main")
    stamps = [changes.stamp(key)]
    for act in (
        lambda: store.promote(*key, one),
        lambda: store.promote(*key, two),
        lambda: store.rollback(*key),
    ):
        changes.read()
        act()
        stamps.append(changes.stamp(key))
        assert changes.read() in (None, (key,))
    assert len(set(stamps)) == 4
    store.promote(*key, one)
    assert changes.read() == ()


def test_whether_the_store_is_there(tmp_path: Path) -> None:
    """A folder without tenants is what an unmounted disk looks like."""
    empty = DirectoryChanges(tmp_path, PROMOTED)
    assert not empty.reachable()
    assert not DirectoryChanges(tmp_path / "none", PROMOTED).reachable()
    (tmp_path / "shop").mkdir()
    assert empty.reachable()
    assert Untold().reachable()
