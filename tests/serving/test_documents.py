"""Requests that send ids alone: the tenant's document table is joined before features run."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.documents import Documents, open_table
from cascade.documents.source import open_source
from cascade.store import DirectoryStore
from cascade.testing import NOON, candidates
from features import columns
from features.columns import Kind
from serving.documents import BROKEN, Tables, join
from serving.rankers import RETRY_S
from serving.settings import Documents as Options
from serving.settings import Settings
from serving.testing import channel, running
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

CASCADE = """
[[features]]
kind = "numeric"
name = "price"
field = "price"

[[features]]
kind = "overlap"
name = "title"
field = "title"
statistics = "candidates"

[[stages]]
kind = "linear"
weights = { price = 1.0, "title.share" = 100.0 }
"""


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """A tenant whose ranker puts titles with the query's words first, then by price."""
    config = parse_config(CASCADE)
    golden = candidates(["a"], {"price": columns.number([1.0]), "title": columns.text(["x"])})
    write_bundle(tmp_path / "bundle", Draft("default", config, config.feature_set(), tmp_path, golden), NOON)
    made = DirectoryStore(tmp_path / "store")
    made.promote("shop", "default", made.publish("shop", "default", tmp_path / "bundle"))
    return made


@pytest.fixture
def put(store: DirectoryStore, tmp_path: Path) -> Callable[..., None]:
    """Puts documents into the tenant's table."""

    def load(upsert: bool = False, **documents: Any) -> None:
        path = tmp_path / "documents.parquet"
        pq.write_table(pa.table(documents), path)
        table, source = Documents(store.root, "shop"), open_source(path)
        (table.upsert if upsert else table.replace)(source)

    return load


@pytest.fixture
def rank(store: DirectoryStore) -> Iterator[Callable[..., pb.RankResponse]]:
    """Asks a server that looks at tables at every request."""
    settings = Settings(port=0, grace_s=5.0, reserve_ms=0.0, documents=Options(check_s=0.0))
    with running(store, settings) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)

        def ask(ids: str, **sent: list[Any]) -> pb.RankResponse:
            message = pb.RankRequest(tenant="shop", query=pb.Query(text="red shoe"))
            message.candidates.ids.extend(ids)
            if "price" in sent:
                message.candidates.columns.add(name="price").number.values.extend(sent["price"])
            return stub.Rank(message, timeout=20)

        yield ask


def order(answer: pb.RankResponse) -> str:
    return "".join(each.id for each in answer.results)


def test_ids_alone(put: Callable[..., None], rank: Callable[..., pb.RankResponse]) -> None:
    """The table's columns are read; a column that is sent stands in place of the table's, for all rows."""
    put(id=["a", "b", "c"], title=["hat", "red shoe", None], price=[3.0, 1.0, 2.0])
    answer = rank("abc")
    assert order(answer) == "bac"
    assert list(answer.warnings) == []
    assert order(rank("abc", price=[1.0, 1.0, 9.0])) == "bca"


def test_ids_that_the_table_lacks(put: Callable[..., None], rank: Callable[..., pb.RankResponse]) -> None:
    """They are ranked with everything missing, and counted in a warning."""
    put(id=["a", "b"], title=["hat", "hat"], price=[1.0, 2.0])
    answer = rank("zab")
    assert order(answer)[:2] == "ba"
    assert list(answer.warnings) == ["documents: 1 of 3 ids are not in the document table"]


def test_columns_that_the_table_lacks(put: Callable[..., None], rank: Callable[..., pb.RankResponse]) -> None:
    """They are warned of, like any column that is not sent."""
    put(id=["a"], price=[1.0])
    assert list(rank("a").warnings) == ["candidates.columns: title not sent; missing for every candidate"]


def test_a_column_of_another_kind(put: Callable[..., None], rank: Callable[..., pb.RankResponse]) -> None:
    """It cannot be the caller's fault, so the ranking goes on without it and says so."""
    put(id=["a"], title=["hat"], price=["cheap"])
    warning, told = sorted(rank("a").warnings)
    assert warning == "candidates.columns: price not sent; missing for every candidate"
    assert (
        told
        == "documents: price: is a text column where a number column is read; missing for every candidate"
    )


def test_a_table_that_changes_under_a_server(
    put: Callable[..., None], rank: Callable[..., pb.RankResponse], store: DirectoryStore
) -> None:
    """Upserts, replacements and removals are seen by the next request; so is a table that comes late."""
    assert len(rank("ab").warnings) == 1
    put(id=["a", "b"], title=["x", "x"], price=[1.0, 2.0])
    assert order(rank("ab")) == "ba"
    put(upsert=True, id=["a"], title=["x"], price=[5.0])
    assert order(rank("ab")) == "ab"
    put(id=["a", "b"], title=["x", "x"], price=[1.0, 2.0])
    assert order(rank("ab")) == "ba"
    Documents(store.root, "shop").drop()
    assert "not sent" in rank("ab").warnings[0]


def test_a_table_that_cannot_be_read(
    put: Callable[..., None], rank: Callable[..., pb.RankResponse], store: DirectoryStore, logs: list[Any]
) -> None:
    """The one before goes on, with a warning; where there was none, requests go on without."""
    put(id=["a", "b"], title=["x", "x"], price=[1.0, 2.0])
    assert order(rank("ab")) == "ba"
    put(id=["a", "b"], title=["x", "x"], price=[2.0, 1.0])
    home = Documents(store.root, "shop").home
    (file,) = home.glob("*/rows.arrow")
    file.write_bytes(file.read_bytes()[:-9])
    answer = rank("ab")
    assert order(answer) == "ba"
    assert list(answer.warnings) == [BROKEN]
    (home / "current.json").write_text("{")
    assert BROKEN in rank("ab").warnings
    put(id=["a", "b"], title=["x", "x"], price=[2.0, 1.0])
    answer = rank("ab")
    assert (order(answer), list(answer.warnings)) == ("ab", [])


def test_a_request_goes_on_with_its_table(store: DirectoryStore, put: Callable[..., None]) -> None:
    """Columns that are read after a replacement belong to the table that the ids were looked up in."""
    put(id=["a"], title=["one"], price=[1.0])
    table = open_table(Documents(store.root, "shop").home)
    assert table is not None
    found = table.find(["a"])
    put(id=["a"], title=["two"], price=[2.0])
    assert table.column("title", found).values == ["one"]


def test_a_column_that_is_read_in_two_ways(store: DirectoryStore, put: Callable[..., None]) -> None:
    """It stays as it is, if it can be both; read in one way, it is converted at once."""
    put(id=["a"], title=["x"], tags=[["p", "q"]])
    table = open_table(Documents(store.root, "shop").home)
    assert table is not None
    both, told = join(table, ["a"], {"tags": frozenset({Kind.TEXT, Kind.KEYWORD})})
    assert (both["tags"].kind, both["tags"].values, told) == (Kind.KEYWORD, [("p", "q")], ())
    one, _ = join(table, ["a"], {"tags": frozenset({Kind.TEXT})})
    assert one["tags"].values == ["p, q"]


def test_so_many_tables_are_open(tmp_path: Path) -> None:
    """The table that was opened longest ago makes room; a store that is no directory has none."""
    opened: list[str] = []
    for tenant in ("a", "b", "c"):
        (tmp_path / tenant).mkdir()
        pq.write_table(pa.table({"id": ["x"], "n": [1.0]}), tmp_path / "n.parquet")
        Documents(tmp_path, tenant).replace(open_source(tmp_path / "n.parquet"))
    tables = Tables(tmp_path, Options(open=2, check_s=60.0), opened.append, clock=lambda: 0.0)
    wanted = {"n": frozenset({Kind.NUMBER})}
    for tenant in ("a", "b", "a", "c", "a"):
        columns_, _ = tables.join(tenant, ["x"], wanted)
        np.testing.assert_array_equal(columns_["n"].values, [1.0])
    assert opened == ["ok"] * 4
    assert Tables(None, Options()).join("a", ["x"], wanted) == ({}, ())


def priced(root: Path, tenant: str = "shop") -> None:
    """A table of one document."""
    (root / tenant).mkdir(parents=True)
    pq.write_table(pa.table({"id": ["x"], "n": [1.0]}), root / "n.parquet")
    Documents(root, tenant).replace(open_source(root / "n.parquet"))


PRICE = {"n": frozenset({Kind.NUMBER})}


@pytest.mark.parametrize("emptied", [False, True])
def test_a_store_that_goes_away_and_comes_back(tmp_path: Path, logs: list[Any], emptied: bool) -> None:
    """The table goes on with a warning, be the store gone or an empty place to mount it, and is whole again
    at once when the store is back; one that was dropped then is dropped."""
    root, away, now = tmp_path / "store", tmp_path / "away", [0.0]
    priced(root)
    tables = Tables(root, Options(), clock=lambda: now[0])
    assert tables.join("shop", ["x"], PRICE)[1] == ()
    root.rename(away)
    if emptied:
        root.mkdir()
    for now[0] in (5.0, 100.0, 1_000.0):
        columns_, told = tables.join("shop", ["x"], PRICE)
        assert (columns_["n"].values.tolist(), told) == ([1.0], (BROKEN,))
    assert tables.join("another", ["x"], PRICE) == ({}, (BROKEN,))
    if emptied:
        root.rmdir()
    away.rename(root)
    now[0] += 2.0
    columns_, told = tables.join("shop", ["x"], PRICE)
    assert (columns_["n"].values.tolist(), told) == ([1.0], ())
    Documents(root, "shop").drop()
    now[0] += 2.0
    assert tables.join("shop", ["x"], PRICE) == ({}, ())


def test_a_table_that_could_not_be_read_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: list[Any]
) -> None:
    """It is tried again after a while, though its file is the same, and not at every look until then."""
    now, opened = [0.0], list[str]()
    priced(tmp_path)
    tables = Tables(tmp_path, Options(), opened.append, clock=lambda: now[0])

    def exhausted(_: Path) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("serving.documents.open_table", exhausted)
        for now[0] in (0.0, 5.0, RETRY_S - 1.0):
            assert tables.join("shop", ["x"], PRICE) == ({}, (BROKEN,))
    assert opened == ["failed"]
    now[0] = RETRY_S + 1.0
    columns_, told = tables.join("shop", ["x"], PRICE)
    assert (columns_["n"].values.tolist(), told, opened) == ([1.0], (), ["failed", "ok"])


def test_over_the_wire_nothing_else_changes(rank: Callable[..., pb.RankResponse]) -> None:
    """A tenant without a table is warned as before, and an empty request still has no rows."""
    assert list(rank("a", price=[1.0]).warnings) == [
        "candidates.columns: title not sent; missing for every candidate"
    ]
    assert list(rank("").warnings) == []
