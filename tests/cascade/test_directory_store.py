"""What is the directory's own: staging, sweeping, mending, and files that somebody else has written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade.bundle import open_bundle
from cascade.files import held, is_held
from cascade.store import DirectoryStore, read_promotion, write_promotion
from cascade.testing import write_tiny_bundle
from features.errors import Corrupt, NotFound, Unavailable


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle, not yet published."""
    return write_tiny_bundle(tmp_path / "bundle")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """An empty store."""
    return DirectoryStore(tmp_path / "store")


def test_a_publish_leaves_nothing_in_staging(store: DirectoryStore, bundle: Path) -> None:
    """Neither a first publish nor a second one of the same bundle leaves a folder behind."""
    for _ in range(2):
        store.publish("shop", "main", bundle)
        assert list((store.root / "shop/main/.staging").iterdir()) == []


def test_staging_of_the_dead_is_swept_and_of_the_living_is_not(store: DirectoryStore, bundle: Path) -> None:
    """A folder that a process still holds is work in progress; one that nobody holds is a leftover."""
    store.publish("shop", "main", bundle)
    staging = store.root / "shop/main/.staging"
    (staging / "dead").mkdir()
    (staging / "dead" / "half").write_text("a bund")
    (staging / "living").mkdir()
    with held(staging / "living"):
        store.publish("shop", "main", bundle)
        assert [folder.name for folder in staging.iterdir()] == ["living"]
    store.publish("shop", "main", bundle)
    assert list(staging.iterdir()) == []


def test_a_publish_that_fails_cleans_up(
    store: DirectoryStore, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the middle of the copy leaves no version and no staging folder."""

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cascade.store.sync_tree", full)
    with pytest.raises(OSError, match="No space"):
        store.publish("shop", "main", bundle)
    assert store.versions("shop", "main") == ()
    assert list((store.root / "shop/main/.staging").iterdir()) == []


def test_publishing_again_mends_a_version_that_came_to_harm(store: DirectoryStore, bundle: Path) -> None:
    """`publish the bundle again` is what the error of a damaged bundle says, and it works."""
    version = store.publish("shop", "main", bundle)
    (store.path("shop", "main", version) / "golden.json").write_text("[")
    with pytest.raises(Corrupt):
        open_bundle(store.path("shop", "main", version))
    store.publish("shop", "main", bundle)
    assert open_bundle(store.path("shop", "main", version)).version == version


def test_folders_that_are_not_ours_are_passed_over(store: DirectoryStore, bundle: Path) -> None:
    """A file system's own folders and stray files are no tenants."""
    store.publish("shop", "main", bundle)
    (store.root / "lost+found").mkdir()
    (store.root / "notes").write_text("mine")
    assert store.tenants() == ("shop",)


def test_a_promotion_that_cannot_be_read_is_corrupt(store: DirectoryStore, bundle: Path) -> None:
    """The file is named, so that somebody can look at it."""
    store.publish("shop", "main", bundle)
    (store.root / "shop/main/promoted.json").write_text('{"version": 3}')
    with pytest.raises(Corrupt, match=r"promoted\.json"):
        store.promotion("shop", "main")


def test_a_version_whose_manifest_is_broken_is_still_listed(store: DirectoryStore, bundle: Path) -> None:
    """One bad bundle does not hide the others; it stands first."""
    good = store.publish("shop", "main", bundle)
    (store.root / "shop/main/versions/bad").mkdir()
    assert store.versions("shop", "main") == ("bad", good)


def test_a_rollback_to_a_version_that_was_removed_says_so(store: DirectoryStore, bundle: Path) -> None:
    """The version that serves goes on serving."""
    version = store.publish("shop", "main", bundle)
    promoted = store.root / "shop/main/promoted.json"
    store.promote("shop", "main", version)
    promoted.write_text(f'{{"version": "{version}", "history": ["gone"]}}')
    with pytest.raises(NotFound, match="no version 'gone'"):
        store.rollback("shop", "main")
    assert store.promotion("shop", "main").version == version


def test_reading_and_writing_a_promotion_is_one_step(
    store: DirectoryStore, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is held from looking at what serves until another one does, or two could both be first."""
    version = store.publish("shop", "main", bundle)
    lock = store.root / "shop/main/.lock"
    held_at: list[bool] = []

    def watched(work: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*arguments: Any) -> Any:
            held_at.append(is_held(lock))
            return work(*arguments)

        return watch

    monkeypatch.setattr("cascade.store.read_promotion", watched(read_promotion))
    monkeypatch.setattr("cascade.store.write_promotion", watched(write_promotion))
    store.promote("shop", "main", version)
    (store.root / "shop/main/promoted.json").write_text(f'{{"version": "x", "history": ["{version}"]}}')
    store.rollback("shop", "main")
    assert held_at == [True] * 4
    assert not is_held(lock)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    """A store that is a file is out of reach, and says so at once."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="no directory"):
        DirectoryStore(tmp_path / "file")
