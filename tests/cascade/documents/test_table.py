"""The document table: what goes in comes out, whatever is put over it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade.documents import Documents, open_table
from cascade.documents.merging import MOST_PARTS
from cascade.documents.source import open_source
from features.columns import Kind
from features.errors import InvalidInput, NotFound

Load = Callable[..., Documents]
DAY = datetime(2026, 1, 2, tzinfo=UTC)
EVERY = {
    "id": ["a", "b", "é"],
    "title": ["Alpha", None, ""],
    "tags": [["x", "y"], None, []],
    "price": [1, None, 3],
    "fresh": [True, False, None],
    "released": [DAY, None, DAY],
    "meaning": [[1.0, 2.0], None, [3.0, 4.0]],
    "nothing": pa.nulls(3),
}


def test_every_kind_of_column(load: Load) -> None:
    """Each kind comes back as features read it, missing values as missing; a column of nulls is left out."""
    table = load(EVERY).table()
    kinds = {name: notes.kind for name, notes in table.columns.items()}
    assert kinds == {
        "title": Kind.TEXT,
        "tags": Kind.KEYWORD,
        "price": Kind.NUMBER,
        "fresh": Kind.NUMBER,
        "released": Kind.TIMESTAMP,
        "meaning": Kind.VECTOR,
    }
    found = table.find(["é", "b", "a"])
    columns = {name: table.column(name, found) for name in kinds}
    assert columns["title"].values == ["", None, "Alpha"]
    assert columns["tags"].values == [(), (), ("x", "y")]
    np.testing.assert_array_equal(columns["price"].values, np.array([3, np.nan, 1], np.float32))
    np.testing.assert_array_equal(columns["fresh"].values, np.array([np.nan, 0, 1], np.float32))
    np.testing.assert_array_equal(columns["released"].values, [DAY.timestamp(), np.nan, DAY.timestamp()])
    meaning = columns["meaning"].values
    np.testing.assert_array_equal(meaning, np.array([[3, 4], [np.nan, np.nan], [1, 2]], np.float32))
    assert (columns["price"].values.dtype, columns["released"].values.dtype) == (np.float32, np.float64)


def test_unknown_ids_are_missing_in_every_column(load: Load) -> None:
    """They are counted, and their values are missing of the column's kind."""
    table = load(EVERY).table()
    found = table.find(["nobody", "a", "aa", ""])
    assert found.unknown == 3
    assert table.column("title", found).values == [None, "Alpha", None, None]
    assert table.column("tags", found).values == [(), ("x", "y"), (), ()]
    assert np.isnan(table.column("meaning", found).values[[0, 2, 3]]).all()
    assert table.document("nobody") is None


def test_whole_numbers_are_ids_too(load: Load) -> None:
    """An id column of integers is read as texts; any column may be named as that of the ids."""
    table = load({"sku": [10, 20], "price": [1.0, 2.0]}, id_column="sku").table()
    assert table.column("price", table.find(["20", "10"])).values.tolist() == [2.0, 1.0]


def test_upsert_replaces_whole_documents(load: Load) -> None:
    """A document stands as it was put last; columns that it then lacked are missing, others' stay."""
    load({"id": ["a", "b"], "title": ["A", "B"], "price": [1.0, 2.0]})
    table = load({"id": ["b", "c"], "title": ["B2", "C"], "colour": ["red", "blue"]}, upsert=True).table()
    found = table.find(["a", "b", "c"])
    assert len(table) == 3
    assert table.column("title", found).values == ["A", "B2", "C"]
    assert table.column("colour", found).values == [None, "red", "blue"]
    np.testing.assert_array_equal(
        table.column("price", found).values, np.array([1, np.nan, np.nan], np.float32)
    )


def test_remove_and_put_back(load: Load, documents: Documents) -> None:
    """Removed documents are gone until they are put in again; unknown ones do not count."""
    load({"id": ["a", "b"], "title": ["A", "B"]})
    assert documents.remove(["b", "b", "zz"]) == 1
    assert (len(documents.table()), documents.table().find(["a", "b"]).unknown) == (1, 1)
    assert documents.remove(["b"]) == 0
    table = load({"id": ["b"], "title": ["B2"]}, upsert=True).table()
    assert table.document("b") == {"title": "B2"}
    assert len(table) == 2


def test_a_replacement_leaves_nothing_behind(load: Load, documents: Documents) -> None:
    """Neither documents nor files; a table that is open already goes on as it was."""
    before = load({"id": ["a"], "title": ["A"]}).table()
    after = load({"id": ["b"], "price": [1.0]}).table()
    assert after.find(["a"]).unknown == 1
    assert set(after.columns) == {"price"}
    assert before.document("a") == {"title": "A"}
    assert len([path for path in documents.home.iterdir() if path.is_dir()]) == 1
    documents.drop()
    assert open_table(documents.home) is None
    with pytest.raises(NotFound, match="no document table"):
        documents.table()


Steps = st.lists(
    st.tuples(st.booleans(), st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 99), min_size=1)),
    max_size=12,
)


@given(steps=Steps)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_is_a_dictionary(load: Load, steps: list[tuple[bool, dict[str, int]]]) -> None:
    """After any upserts and removals, merged or not, the table holds what a dictionary would."""
    held = {"a": 0, "z": 1}
    documents = load({"id": list(held), "price": list(held.values())})
    for puts, step in steps:
        if puts:
            held |= step
            load({"id": list(step), "price": list(step.values())}, upsert=True)
        else:
            assert documents.remove(list(step)) == len(held.keys() & step)
            held = {name: price for name, price in held.items() if name not in step}
    table = documents.table()
    assert len(table) == len(held)
    assert len(table.parts) <= MOST_PARTS + 1, "many parts are merged on the way"
    names = [*"abcdefghz"]
    wanted = np.array([held.get(name, np.nan) for name in names], np.float32)
    np.testing.assert_array_equal(table.column("price", table.find(names)).values, wanted)
    assert len(Documents(documents.home.parents[1], "shop").compact().parts) == 1
    again = documents.table()
    np.testing.assert_array_equal(again.column("price", again.find(names)).values, wanted)


def test_many_rows_in_several_batches(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are found across the batches of a file, in any order."""
    monkeypatch.setattr("cascade.documents.source.BATCH_ROWS", 64)
    monkeypatch.setattr("cascade.documents.writing.BATCH_BYTES", 1_000)
    rows = np.random.default_rng(3).permutation(1_000)
    table = load({"id": rows.astype(str).tolist(), "title": [f"t{row}" for row in rows], "n": rows}).table()
    assert len(table.parts[0].batches) > 10
    asked = np.random.default_rng(4).permutation(1_000)[:300]
    found = table.find(asked.astype(str).tolist())
    assert table.column("title", found).values == [f"t{row}" for row in asked]
    np.testing.assert_array_equal(table.column("n", found).values, asked.astype(np.float32))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": ["a"]}, "--id: there is no column 'id' or '_id' of ids; there are name"),
        ({"id": ["a", "b", "a"]}, r"id\[2\]: 'a' is also the id of row 0"),
        ({"id": ["a", None]}, r"id\[1\]: has 0 bytes"),
        ({"id": ["a", ""]}, r"id\[1\]: has 0 bytes"),
        ({"id": ["x" * 1_025]}, r"id\[0\]: has 1025 bytes"),
        ({"id": [1.5]}, "id: is of type double; ids are texts or whole numbers"),
        ({"id": [["a"]]}, "id: is of type list"),
        ({"id": ["a"], "made": [{"of": 1}]}, "made: is of type struct.*no feature reads"),
        ({"id": ["a", "b"], "n": [1.0, float("inf")]}, r"n\[1\]: a number must be finite"),
        ({"id": ["a", "b"], "v": [[1.0], [1.0, 2.0]]}, r"v\[1\]: has 2 elements where others have 1"),
        ({"id": ["a", "b"], "v": [[1.0], [float("nan")]]}, r"v\[1\]: a vector must be finite"),
        ({"id": pa.array([], pa.string())}, "has no rows"),
    ],
)
def test_a_file_that_cannot_be_right(load: Load, documents: Documents, columns: Any, message: str) -> None:
    """It is refused by column and row, and the table stays as it was."""
    load({"id": ["a"], "title": ["A"]})
    with pytest.raises(InvalidInput, match=message):
        load(columns)
    assert documents.table().document("a") == {"title": "A"}
    assert len([path for path in documents.home.iterdir() if path.is_dir()]) == 1


def test_a_damaged_file(load: Load, documents: Documents, tmp_path: Path) -> None:
    """Pages that came to harm behind a whole footer are the file's fault, and the table stays as it was."""
    load({"id": ["a"], "title": ["A"]})
    file = tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"id": [f"{row * 7_919}" for row in range(1_000)]}), file)
    data = bytearray(file.read_bytes())
    data[20:600] = bytes(580)
    file.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"damaged\.parquet cannot be read as Parquet"):
        documents.replace(open_source(file))
    assert documents.table().document("a") == {"title": "A"}


def test_moments_of_any_size(load: Load) -> None:
    """Nanoseconds, and moments far beyond what a double counts in microseconds, are seconds all the same."""
    times = pa.array([1_700_000_000_500_000_000, None], pa.timestamp("ns"))
    far = pa.array([1 << 62, 0], pa.timestamp("us"))
    table = load({"id": ["a", "b"], "when": times, "far": far}).table()
    found = table.find(["a", "b"])
    np.testing.assert_array_equal(table.column("when", found).values, [1_700_000_000.5, np.nan])
    np.testing.assert_allclose(table.column("far", found).values, [(1 << 62) / 1e6, 0])


def test_a_column_of_another_kind(load: Load, documents: Documents) -> None:
    """An upsert whose column is of another kind than the table's is refused."""
    load({"id": ["a"], "title": ["A"], "v": [[1.0, 2.0]]})
    with pytest.raises(InvalidInput, match="title: is a number here and a text in the table"):
        load({"id": ["b"], "title": [1.0]}, upsert=True)
    with pytest.raises(InvalidInput, match="v: is a vector of 1 here and a vector of 2 in the table"):
        load({"id": ["b"], "v": [[1.0]]}, upsert=True)
    assert len(documents.table()) == 1


def test_no_such_tenant_or_file(tmp_path: Path) -> None:
    """Both are named."""
    with pytest.raises(NotFound, match="no tenant 'shop'"):
        Documents(tmp_path, "shop")
    with pytest.raises(InvalidInput, match="is no name"):
        Documents(tmp_path, "../shop")
    with pytest.raises(NotFound, match="no file"):
        open_source(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InvalidInput, match="cannot be read as Parquet"):
        open_source(tmp_path / "text.parquet")
