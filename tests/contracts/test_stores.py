"""The laws that every store keeps: registered ones, and the one in memory."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cascade.bundle import open_bundle
from cascade.memory_store import MemoryStore
from cascade.promotion import Record, passed
from cascade.store import DirectoryStore, Store
from cascade.testing import NOON, write_tiny_bundle
from features.errors import Conflict, Corrupt, InvalidInput, NotFound, NotReady
from features.registry import kinds

STORES: dict[str, Callable[[Path], Store]] = {
    "directory": lambda folder: DirectoryStore(folder / "store"),
    "memory": lambda folder: MemoryStore(),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store."""
    return STORES[request.param](tmp_path)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three bundles, an hour apart, the newest first."""
    folder = tmp_path_factory.mktemp("bundles")
    return [write_tiny_bundle(folder / str(i), 3.0 + i, NOON - timedelta(hours=i)) for i in range(3)]


def publish(store: Store, bundles: list[Path]) -> list[str]:
    """Versions of all bundles, published for one ranker."""
    return [store.publish("shop", "main", bundle) for bundle in bundles]


def test_every_registered_store_is_held_to_these_laws() -> None:
    """A store cannot be added without them."""
    assert set(kinds("sluice.stores")) <= set(STORES)


def test_a_published_bundle_is_found_by_its_digest(store: Store, bundles: list[Path]) -> None:
    """The version is that of the bundle, and its directory holds the bundle with every digest right."""
    version = store.publish("shop", "main", bundles[0])
    assert version == open_bundle(bundles[0]).version
    assert open_bundle(store.path("shop", "main", version)).version == version


def test_what_there_is(store: Store, bundles: list[Path]) -> None:
    """Tenants and rankers are sorted, versions stand from the oldest to the newest."""
    assert store.tenants() == ()
    versions = publish(store, bundles)
    store.publish("news", "main", bundles[0])
    store.publish("shop", "accessories", bundles[0])
    assert store.tenants() == ("news", "shop")
    assert store.rankers("shop") == ("accessories", "main")
    assert store.versions("shop", "main") == tuple(reversed(versions))


def test_nothing_serves_before_it_is_promoted(store: Store, bundles: list[Path]) -> None:
    """A published version waits; asking for the promoted one says what to do."""
    store.publish("shop", "main", bundles[0])
    assert store.promotion("shop", "main").version == ""
    with pytest.raises(NotReady, match="promote one"):
        store.path("shop", "main")


def test_the_promoted_version_is_the_one_served(store: Store, bundles: list[Path]) -> None:
    """`path` without a version is the promoted one's; with one, that one's."""
    first, second, _ = publish(store, bundles)
    store.promote("shop", "main", first)
    store.promote("shop", "main", second)
    assert open_bundle(store.path("shop", "main")).version == second
    assert open_bundle(store.path("shop", "main", first)).version == first
    assert store.promotion("shop", "main").history == (first,)


def test_rollback_goes_back_one_by_one(store: Store, bundles: list[Path]) -> None:
    """Each rollback returns to the version before, until there is none."""
    first, second, third = publish(store, bundles)
    for version in (first, second, third):
        store.promote("shop", "main", version)
    assert store.rollback("shop", "main") == second
    assert store.rollback("shop", "main") == first
    with pytest.raises(NotReady, match="no version served before"):
        store.rollback("shop", "main")
    assert store.promotion("shop", "main").version == first


def test_promoting_the_same_again_changes_nothing(store: Store, bundles: list[Path]) -> None:
    """A rollback still leads to the version before."""
    first, second, _ = publish(store, bundles)
    for version in (first, second, second):
        store.promote("shop", "main", version)
    assert store.rollback("shop", "main") == first


def test_publishing_the_same_again_changes_nothing(store: Store, bundles: list[Path]) -> None:
    """Publishing is idempotent, before and after a promotion."""
    version = store.publish("shop", "main", bundles[0])
    store.promote("shop", "main", version)
    assert store.publish("shop", "main", bundles[0]) == version
    assert store.versions("shop", "main") == (version,)
    assert store.promotion("shop", "main").version == version


@pytest.mark.parametrize("expected", ["", "other"])
def test_a_promotion_that_lost_a_race_conflicts(store: Store, bundles: list[Path], expected: str) -> None:
    """Where another version serves than was expected, nothing changes."""
    first, second, _ = publish(store, bundles)
    store.promote("shop", "main", first, expected="")
    with pytest.raises(Conflict, match=first):
        store.promote("shop", "main", second, expected=expected)
    with pytest.raises(Conflict, match=first):
        store.rollback("shop", "main", expected=expected)
    assert store.promotion("shop", "main").version == first
    store.promote("shop", "main", second, expected=first)
    assert store.rollback("shop", "main", expected=second) == first


def test_what_is_not_there_is_named_with_what_is(store: Store, bundles: list[Path]) -> None:
    """Unknown tenants, rankers and versions are told apart, with those there are; tenants are not named."""
    version = store.publish("shop", "main", bundles[0])
    with pytest.raises(NotFound, match=r"^tenant: no tenant 'shopp'$"):
        store.rankers("shopp")
    with pytest.raises(NotFound, match="ranker: no ranker 'mian'; there are main"):
        store.versions("shop", "mian")
    for act in (store.promote, store.path):
        with pytest.raises(NotFound, match=f"version: no version 'beef'; there are {version}"):
            act("shop", "main", "beef")
    with pytest.raises(NotFound):
        store.rollback("news", "main")


@pytest.mark.parametrize("name", ["", ".", "..", "../shop", "a/b", "/etc", "Shop", "a\n", "x" * 64, ".lock"])
def test_no_name_leads_out_of_the_store(store: Store, bundles: list[Path], name: str) -> None:
    """Names that are none are refused for what they are, wherever they stand."""
    store.publish("shop", "main", bundles[0])
    for act in (
        lambda: store.publish(name, "main", bundles[0]),
        lambda: store.publish("shop", name, bundles[0]),
        lambda: store.rankers(name),
        lambda: store.versions("shop", name),
        lambda: store.path("shop", "main", name),
        lambda: store.promote("shop", "main", name),
        lambda: store.rollback(name, "main"),
    ):
        with pytest.raises(InvalidInput, match="is no name"):
            act()
    assert store.tenants() == ("shop",)


def test_a_damaged_bundle_is_not_published(store: Store, tmp_path: Path) -> None:
    """What does not verify never gets in, and leaves no trace."""
    bundle = write_tiny_bundle(tmp_path / "damaged")
    (bundle / "cascade.toml").write_text("less")
    with pytest.raises(Corrupt, match=r"cascade\.toml"):
        store.publish("shop", "main", bundle)
    assert store.tenants() == ()


def test_of_many_promotions_that_expect_the_same_one_wins(store: Store, bundles: list[Path]) -> None:
    """Threads that all expect to be the first: one is, the others are told that they lost."""
    if isinstance(store, MemoryStore):
        return  # one thread is all it is for
    versions = publish(store, bundles)
    outcomes: list[str] = []

    def promote(version: str) -> None:
        try:
            store.promote("shop", "main", version, expected="")
            outcomes.append(version)
        except Conflict:
            outcomes.append("lost")

    threads = [threading.Thread(target=promote, args=(version,)) for version in versions * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes).count("lost") == len(threads) - 1
    assert store.promotion("shop", "main").version in outcomes
    assert store.promotion("shop", "main").history == ()


def test_every_change_is_audited(store: Store, bundles: list[Path]) -> None:
    """Publish, promote, approve and roll back are told in order, with who, before and after."""
    newest, middle, _ = publish(store, bundles)
    store.promote("shop", "main", middle, actor="token:7")
    forced = Record(version=newest, time="now", against=middle, forced=True, reason="a sale begins")
    store.promote("shop", "main", newest, middle, forced, "token:7")
    store.promote("shop", "main", newest)
    store.rollback("shop", "main", actor="token:8")
    store.approve("shop", "main", Record(version=newest, time="now", against=middle), "local:me")
    told = [(one.action, one.before, one.after, one.actor) for one in store.audit("shop")[3:]]
    assert told == [
        ("promote", "", middle, "token:7"),
        ("promote", middle, newest, "token:7"),
        ("rollback", newest, middle, "token:8"),
        ("approve", middle, newest, "local:me"),
    ]
    published = store.audit("shop")[:3]
    assert [(one.action, one.actor.split(":")[0]) for one in published] == [("publish", "local")] * 3
    assert [(one.forced, one.reason) for one in store.audit("shop")[3:5]] == [
        (False, ""),
        (True, "a sale begins"),
    ]


def test_an_approval_holds_for_what_serves_then(store: Store, bundles: list[Path]) -> None:
    """A version is approved in the place of one other; decided on an older state it is a conflict."""
    newest, middle, oldest = publish(store, bundles)
    store.promote("shop", "main", oldest)
    store.approve("shop", "main", Record(version=newest, time="now", against=oldest))
    assert passed(store.promotion("shop", "main"), newest)
    assert not passed(store.promotion("shop", "main"), middle)
    store.promote("shop", "main", middle)
    assert not passed(store.promotion("shop", "main"), newest)
    with pytest.raises(Conflict):
        store.approve("shop", "main", Record(version=newest, time="now", against=oldest))
