"""Pages are checked where they enter, and read from the logs there are."""

import gzip
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.errors import InvalidInput
from tests.support import require_data
from training.clicks.impressions import Impressions, clicks_by_rank, joined, parts
from training.clicks.pairs import Pairs
from training.clicks.readers import JoinedReader, read_yandex
from training.clicks.shelf import shelved
from training.events import schema


@pytest.mark.parametrize(
    ("query", "documents", "clicked", "path"),
    [
        ([0], [[1, 2], [3, 4]], [[True, False], [False, False]], "impressions"),
        ([0], [[1, -2]], [[False, False]], "impressions.documents"),
        ([0], [[1, 2**31]], [[False, False]], "impressions.documents"),
        ([-1], [[1, 2]], [[False, False]], "impressions.query"),
        ([0], [[1, -1]], [[False, True]], "impressions.clicked"),
    ],
)
def test_pages_that_cannot_be_are_refused(query: Any, documents: Any, clicked: Any, path: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(InvalidInput) as error:
        Impressions.of(query, documents, clicked)
    assert error.value.path == path


def test_pages_of_different_lengths_are_joined() -> None:
    """Shorter pages are continued by nothing, and ranks are counted over all of them."""
    short, long = (
        Impressions.of([1], [[5]], [[True]]),
        Impressions.of([1], [[6, 7]], [[False, True]], weight=2.0),
    )
    both = joined([short, long])
    assert both.documents.tolist() == [[5, -1], [6, 7]]
    shown, clicks = clicks_by_rank(parts(both, 1))
    assert (shown.tolist(), clicks.tolist()) == ([3.0, 2.0], [1.0, 2.0])


def test_an_empty_log_is_refused() -> None:
    """There is nothing to fit where nothing was shown."""
    with pytest.raises(InvalidInput, match="shows no document"):
        Pairs.of(parts(Impressions.of(np.empty(0), np.empty((0, 3)), np.empty((0, 3)))))


def test_pairs_know_their_query_and_document_and_what_is_unknown() -> None:
    """Numbers go both ways."""
    pages = Impressions.of([3, 4], [[7, 8], [7, -1]], np.zeros((2, 2)))
    pairs = Pairs.of(parts(pages))
    assert pairs.query.tolist() == [3, 3, 4]
    assert pairs.document.tolist() == [7, 8, 7]
    assert pairs.at(pages).tolist() == [[0, 1], [2, -1]]
    assert pairs.at(Impressions.of([3], [[9, 7]], np.zeros((1, 2)))).tolist() == [[-1, 0]]


def joined_pages(rows: list[dict[str, Any]], offsets: list[int]) -> schema.Pages:
    """A joined table of the given rows; the other columns are missing."""
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema.JOINED
    }
    return schema.Pages(pa.table(columns, schema=schema.JOINED), np.array(offsets))


def test_the_joined_table_reads_as_pages() -> None:
    """Rows become positions, strings numbers; deep and double positions are left out; arms are rankers."""
    page = {"tenant": "t", "query": "boat", "ranker": "r", "version": "1", "arm": ""}
    rows = [
        page | {"candidate_id": "a", "position": 1, "clicked": False},
        page | {"candidate_id": "b", "position": 3, "clicked": True},
        page | {"candidate_id": "c", "position": 3, "clicked": False},
        page | {"candidate_id": "d", "position": 99, "clicked": True},
        page | {"candidate_id": "b", "position": 1, "clicked": True, "query": "tree", "version": "2"},
    ]
    reader = JoinedReader(group_of=lambda table: table["tenant"])
    pages = reader.read(joined_pages(rows, [0, 4, 5]))
    a, b = reader.documents.find(["a", "b"]).tolist()
    assert pages.documents.tolist() == [[a, -1, b], [b, -1, -1]]
    assert pages.clicked.tolist() == [[False, False, True], [True, False, False]]
    assert pages.query[0] != pages.query[1]
    assert pages.arm[0] != pages.arm[1]
    assert pages.group.tolist() == [0, 0]
    again = reader.read(joined_pages(rows[4:], [0, 1]))
    assert again.documents.tolist() == [[b]]
    assert again.query[0] == pages.query[1]


def test_a_position_below_one_is_refused() -> None:
    """Positions count from 1."""
    rows = [{"candidate_id": "a", "position": 0, "clicked": False, "tenant": "t", "query": "q"}]
    with pytest.raises(InvalidInput, match="count from 1"):
        JoinedReader().read(joined_pages(rows, [0, 1]))


def test_yandex_logs_read_with_clicks_off_the_page_and_twice(tmp_path: Path) -> None:
    """Clicks on what is not shown are left out, two clicks on one document are one."""
    path = tmp_path / "serps.gz"
    path.write_bytes(
        gzip.compress(b"q1\td1,d2 : d2 , d2 , d9; q2\td2,d3 :; q1\td2,d1 :  ;  q1\td1,d2 : d1\n")
    )
    pages = read_yandex(path)
    assert pages.query.tolist() == [0, 1, 0, 0]
    assert pages.documents.tolist() == [[0, 1], [1, 2], [1, 0], [0, 1]]
    assert pages.clicked.tolist() == [[False, True], [False, False], [False, False], [True, False]]


def test_a_line_that_is_no_page_is_named(tmp_path: Path) -> None:
    """The error has the file and the line."""
    path = tmp_path / "serps.gz"
    path.write_bytes(gzip.compress(b"q1\td1,d2 :\nnonsense;\n"))
    with pytest.raises(InvalidInput, match=r"serps.gz:2"):
        read_yandex(path)


def test_the_real_yandex_log_has_its_known_click_rates() -> None:
    """35,064 pages with the published click rates by rank."""
    pages = read_yandex(require_data("yandex_clicks") / "serps.train.gz")
    shown, clicks = clicks_by_rank(parts(pages))
    assert len(pages) == 35_064
    expected = [0.257, 0.249, 0.170, 0.154, 0.106, 0.073, 0.069, 0.047, 0.050, 0.045]
    np.testing.assert_allclose(clicks / shown, expected, atol=6e-4)


def test_pages_kept_on_the_disk_are_the_same_pages(tmp_path: Path) -> None:
    """Part by part, in every column, as often as they are read."""
    pages = Impressions.of(
        [3, 2**31 - 1],
        [[7, -1], [2**31 - 1, 8]],
        np.eye(2, dtype=bool)[::-1] & [[0, 0], [1, 1]],
        0.5,
        [5, 6],
        7,
    )
    kept = shelved(parts(pages, 1), tmp_path)
    for _ in range(2):
        for one, again in zip(parts(pages, 1)(), kept(), strict=True):
            for each in fields(Impressions):
                value, found = getattr(one, each.name), getattr(again, each.name)
                assert found.dtype == value.dtype
                np.testing.assert_array_equal(found, value)


def test_pairs_are_merged_while_a_log_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them may wait, all of them are there once, and in order."""
    pages = Impressions.of(np.arange(60) % 7, np.arange(120).reshape(60, 2) % 11, np.zeros((60, 2)))
    whole = Pairs.of(parts(pages))
    monkeypatch.setattr("training.clicks.pairs.WORTH_MERGING", 3)
    assert Pairs.of(parts(pages, 4)).keys.tolist() == whole.keys.tolist() == sorted(set(whole.keys.tolist()))
