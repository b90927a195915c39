"""The laws that every profile store keeps: in memory, in LMDB, and in a real Redis."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cascade.eventlog.testing import done, shown
from cascade.profiles.learn import learn_all
from cascade.profiles.lmdb_store import LmdbProfiles
from cascade.profiles.memory import MemoryProfiles
from cascade.profiles.redis_store import RedisProfiles
from cascade.profiles.rules import Rules
from cascade.profiles.store import Entry, ProfileStore, Values
from cascade.profiles.testing import arrived, redis_server
from features.errors import InvalidInput
from tests.support import absent, require

STORES = ("memory", "lmdb", "redis")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own."""
    require("redis")
    if shutil.which("redis-server") is None:
        absent("needs redis-server on the PATH (apt-get install redis-server)")
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProfileStore]:
    """An empty store of each kind."""
    made: dict[str, Callable[[], ProfileStore]] = {
        "memory": MemoryProfiles,
        "lmdb": lambda: LmdbProfiles(tmp_path / "profiles", 1 << 28),
        "redis": lambda: RedisProfiles(request.getfixturevalue("redis_url"), 10.0),
    }
    opened = made[request.param]()
    for tenant in ("shop", "news", "shop2"):
        opened.clear(tenant)
    yield opened
    opened.close()


def put(store: ProfileStore, tenant: str, **values: bytes | None) -> None:
    """Set keys; None removes one."""
    changes = {key.encode(): None if value is None else Entry(value) for key, value in values.items()}
    assert store.update(tenant, list(changes), lambda _: changes)


def test_what_was_written_is_read(store: ProfileStore) -> None:
    """Along the keys asked for, None for what is not there; any bytes, and none, are a value."""
    put(store, "shop", a=b"1", b=b"", c=bytes(range(256)) * 100)
    assert list(store.read("shop", [b"c", b"x", b"a", b"b", b"a"])) == [
        bytes(range(256)) * 100,
        None,
        b"1",
        b"",
        b"1",
    ]
    assert list(store.read("shop", [])) == []


def test_a_change_sees_the_current_values(store: ProfileStore) -> None:
    """`change` is handed what is there, along the keys, and what it returns is what is there then."""
    put(store, "shop", a=b"1")
    seen: list[Values] = []

    def change(values: Values) -> dict[bytes, Entry | None]:
        seen.append(list(values))
        return {b"b": Entry((values[0] or b"") + b"!")}

    assert store.update("shop", [b"a", b"b"], change)
    assert seen == [[b"1", None]]
    assert list(store.read("shop", [b"a", b"b"])) == [b"1", b"1!"]


def test_none_changes_nothing(store: ProfileStore) -> None:
    """A plan that proved void leaves all as it was, and says so; an empty change is a change."""
    put(store, "shop", a=b"1")
    assert not store.update("shop", [b"a"], lambda _: None)
    assert store.update("shop", [b"a"], lambda _: {})
    assert store.read("shop", [b"a"]) == [b"1"]


def test_a_key_can_go(store: ProfileStore) -> None:
    """None takes a key away, also one that was never there."""
    put(store, "shop", a=b"1")
    put(store, "shop", a=None, b=None)
    assert store.read("shop", [b"a", b"b"]) == [None, None]


def test_a_change_that_fails_changes_nothing(store: ProfileStore) -> None:
    """An error inside a change leaves every key as it was."""
    put(store, "shop", a=b"1")

    def fail(_: Values) -> dict[bytes, Entry | None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.update("shop", [b"a"], fail)
    assert store.read("shop", [b"a"]) == [b"1"]


def test_tenants_do_not_meet(store: ProfileStore) -> None:
    """One key of two tenants is two, also where a name begins with another's; clearing one spares others."""
    put(store, "shop", a=b"shop")
    put(store, "shop2", a=b"shop2")
    put(store, "news", a=b"news")
    store.clear("shop")
    assert store.read("shop", [b"a"]) == [None]
    assert (store.read("shop2", [b"a"]), store.read("news", [b"a"])) == ([b"shop2"], [b"news"])


@pytest.mark.parametrize("tenant", ["", "Shop", "a}b", "../x", "shop:user", "x" * 10_000])
def test_a_tenant_has_a_proper_name(store: ProfileStore, tenant: str) -> None:
    """Before any key is made of it."""
    for use in (
        lambda: store.read(tenant, [b"a"]),
        lambda: store.update(tenant, [b"a"], lambda _: {}),
        lambda: store.clear(tenant),
    ):
        with pytest.raises(InvalidInput):
            use()


def test_all_keys_of_a_tenant_are_in_one_slot(redis_url: str) -> None:
    """Of a Redis cluster, whatever stands in the names of its items, users and queries."""
    import redis
    from redis.crc import key_slot

    opened, store = redis.Redis.from_url(redis_url), RedisProfiles(redis_url, 10.0)
    slots = {}
    for tenant in ("shop", "shop2"):
        before = {*opened.keys()}
        page = shown(f"r-{tenant}", "a{x}", "{b}", user="{ann}", session="s}", query="{red} shoes")
        learn_all(store, tenant, list(arrived([page, done("e", f"r-{tenant}", "a{x}")])), Rules())
        keys = {*opened.keys()} - before
        assert {key.split(b":")[1] for key in keys} >= {b"item", b"user", b"query", b"totals"}
        assert all(key.startswith(f"{{{tenant}}}:".encode()) for key in keys)
        slots[tenant] = {key_slot(key) for key in keys}
    assert [len(each) for each in slots.values()] == [1, 1]
    assert slots["shop"] != slots["shop2"]
    for tenant in slots:
        store.clear(tenant)
    store.close()


def test_what_has_expired_may_go_and_nothing_else(store: ProfileStore) -> None:
    """A sweep leaves what has no end and what has not come to it. (Redis does it by its own clock.)"""
    changes = {
        b"over": Entry(b"1", 1_000),
        b"later": Entry(b"2", 4_000_000_000_000_000),
        b"never": Entry(b"3"),
    }
    store.update("shop", list(changes), lambda _: changes)
    store.sweep(2_000)
    assert store.read("shop", [b"over", b"later", b"never"]) == [None, b"2", b"3"]


def test_many_keys_at_once(store: ProfileStore) -> None:
    """Ten thousand candidates are one read."""
    changes = {f"item:{number}".encode(): Entry(str(number).encode()) for number in range(10_000)}
    store.update("shop", list(changes), lambda _: changes)
    assert list(store.read("shop", list(changes))) == [entry.value for entry in changes.values()]


def test_changes_at_the_same_time_are_all_there(store: ProfileStore) -> None:
    """Four threads count up one key; no count is lost."""
    rounds = 25

    def count(values: Values) -> dict[bytes, Entry | None]:
        return {b"n": Entry(str(int(values[0] or b"0") + 1).encode())}

    threads = [
        threading.Thread(target=lambda: [store.update("shop", [b"n"], count) for _ in range(rounds)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("shop", [b"n"]) == [str(4 * rounds).encode()]


def test_a_read_is_of_one_moment(store: ProfileStore) -> None:
    """Two keys that always change together are never read apart."""
    put(store, "shop", a=b"0", b=b"0")
    over = threading.Event()

    def write() -> None:
        for number in range(200):
            value = Entry(str(number).encode())
            store.update("shop", [b"a", b"b"], lambda _, value=value: {b"a": value, b"b": value})
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not over.is_set():
        first, second = store.read("shop", [b"a", b"b"])
        assert first == second
    writer.join()


def test_lmdb_outlives_its_process_and_is_shared_within_one(tmp_path: Path) -> None:
    """A second store of the same folder sees the first one's values, and closing one leaves the other."""
    first, second = LmdbProfiles(tmp_path / "p", 1 << 26), LmdbProfiles(tmp_path / "p", 1 << 26)
    put(first, "shop", a=b"1")
    first.close()
    first.close()
    assert second.read("shop", [b"a"]) == [b"1"]
    second.close()
    code = (
        "import sys; from pathlib import Path; from cascade.profiles.lmdb_store import LmdbProfiles;"
        "print(LmdbProfiles(Path(sys.argv[1]), 1 << 26).read('shop', [b'a'])[0].decode())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p")], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "1"
