"""The teacher's file: what it reads as, and every way in which it cannot be right."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.batch import CandidateBatch, Query
from features.errors import InvalidInput
from training.teacher import Teacher, read_teacher


def written(tmp_path: Path, **columns: Any) -> Path:
    """A Parquet file of these columns."""
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def batch() -> CandidateBatch:
    """Two queries with two and three candidates."""
    queries = (Query("red apple", id="q1"), Query("boat", id="q2"))
    return CandidateBatch(queries, ["a", "b", "a", "c", "d"], np.array([0, 2, 5]), {})


TEXTS = ["one", "two", "one", "three", "four"]


def test_scores_go_along_the_rows_of_a_batch(tmp_path: Path) -> None:
    """Pairs are found whatever the order of the file; what the teacher does not know is NaN."""
    path = written(
        tmp_path,
        query_id=["q2", "q1", "q9", "q1"],
        document_id=["d", "b", "a", "a"],
        score=[4.0, -2.0, 9.0, 1.5],
    )
    found = read_teacher(path).along(batch(), TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([1.5, -2, np.nan, np.nan, 4], np.float32))


def test_texts_name_queries_and_documents_too(tmp_path: Path) -> None:
    """Without ids the texts count, blanks around them aside; the same pair twice with one score is fine."""
    path = written(
        tmp_path, query=["boat ", "boat", "boat"], document=["one", " four", "four"], score=[1.0, 2.0, 2.0]
    )
    teacher = read_teacher(path)
    assert len(teacher) == 2
    np.testing.assert_array_equal(teacher.along(batch(), TEXTS)[2:], np.array([1, np.nan, 2], np.float32))


def test_numbers_for_ids_and_dictionaries_for_texts_are_read(tmp_path: Path) -> None:
    """Whole numbers as ids and dictionary columns, as other tools write them, mean the same."""
    path = written(
        tmp_path,
        query_id=pa.array([1, 1]),
        document=pa.array(["x", "y"]).dictionary_encode(),
        score=pa.array([3, 4]),
    )
    teacher = read_teacher(path)
    assert (teacher.query_by, teacher.document_by) == ("query_id", "document")
    assert sorted(teacher.scores.tolist()) == [3, 4]


def test_a_permutation_reads_as_falling_scores(tmp_path: Path) -> None:
    """A rank r is the score -ln r, so that a softmax gives shares of reciprocal ranks."""
    path = written(
        tmp_path, query_id=["q1", "q2", "q2", "q1"], document_id=["a", "d", "c", "b"], rank=[2, 1, 2, 1]
    )
    teacher = read_teacher(path)
    found = teacher.along(batch(), TEXTS)
    assert teacher.ranked
    np.testing.assert_allclose(found[[0, 1, 3, 4]], [-np.log(2), 0, -np.log(2), 0], rtol=1e-6)


def test_scores_with_ranks_that_agree_are_scores(tmp_path: Path) -> None:
    """Where both are there, the scores count."""
    path = written(tmp_path, query_id=["q", "q"], document_id=["a", "b"], score=[1.0, 3.0], rank=[2, 1])
    assert not read_teacher(path).ranked


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "contradiction": (
        {"query_id": ["q", "r", "q"], "document_id": ["a", "a", "a"], "score": [1.0, 2.0, 3.0]},
        r"row 3: score: 3 here and 1 in row 1",
    ),
    "empty text": (
        {"query": ["q", " "], "document": ["a", "b"], "score": [1.0, 2.0]},
        "row 2: query: is empty",
    ),
    "null": (
        {"query": ["q", "q"], "document_id": ["a", None], "score": [1.0, 2.0]},
        "row 2: document_id: is empty",
    ),
    "nan": ({"query_id": ["q"], "document_id": ["a"], "score": [float("nan")]}, "row 1: score: is nan"),
    "infinite": ({"query_id": ["q"], "document_id": ["a"], "score": [float("inf")]}, "row 1: score: is inf"),
    "beyond float32": ({"query_id": ["q"], "document_id": ["a"], "score": [1e300]}, "row 1: score: is 1e"),
    "no score": (
        {"query_id": ["q"], "document_id": ["a"], "label": [1]},
        "no column score or rank; its columns are",
    ),
    "no document": ({"query_id": ["q"], "text": ["a"], "score": [1.0]}, "no column document_id or document"),
    "text for a score": ({"query_id": ["q"], "document_id": ["a"], "score": ["high"]}, "score: holds string"),
    "lists": ({"query_id": ["q"], "document_id": [["a"]], "score": [1.0]}, "document_id: holds list"),
    "no rows": (
        {
            "query_id": pa.array([], pa.string()),
            "document_id": pa.array([], pa.string()),
            "score": pa.array([], pa.float32()),
        },
        "holds no rows",
    ),
    "gap": (
        {"query_id": ["q", "q"], "document_id": ["a", "b"], "rank": [1, 3]},
        "row 2: rank: is 3 where 2 is due",
    ),
    "from nought": (
        {"query_id": ["q", "q"], "document_id": ["a", "b"], "rank": [0, 1]},
        "is 0 where 1 is due",
    ),
    "a rank twice": (
        {"query_id": ["q", "q"], "document_id": ["a", "b"], "rank": [1, 1]},
        "is 1 where 2 is due",
    ),
    "a document twice": (
        {"query_id": ["q", "q"], "document_id": ["a", "a"], "rank": [1, 2]},
        "more than once",
    ),
    "rank against score": (
        {"query_id": ["q", "q"], "document_id": ["a", "b"], "rank": [1, 2], "score": [1.0, 5.0]},
        "row 2: rank: 2 comes after a lower score",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_right_is_named(case: str, tmp_path: Path) -> None:
    """Each bad file is refused with its row and column."""
    columns, message = BAD[case]
    with pytest.raises(InvalidInput, match=message) as error:
        read_teacher(written(tmp_path, **columns))
    assert "scores.parquet" in str(error.value)


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """A missing file and one of another kind are told apart."""
    path = tmp_path / "scores.parquet"
    with pytest.raises(InvalidInput, match="no such file"):
        read_teacher(path)
    path.write_text("query,document,score\n")
    with pytest.raises(InvalidInput, match="cannot be read as Parquet"):
        read_teacher(path)


def known(tmp_path: Path) -> Teacher:
    """A teacher of two queries."""
    return read_teacher(written(tmp_path, query_id=["q1", "x"], document_id=["a", "b"], score=[1.0, 2.0]))


def test_ids_that_nobody_knows_are_an_error_and_some_are_a_note(tmp_path: Path) -> None:
    """A file of another collection is refused; a few unknown ids are told."""
    teacher = known(tmp_path)
    (note,) = teacher.check_known({"q1": 0}, {"a": 0, "b": 1})
    assert "1 of 2 query_ids" in note
    assert "'x'" in note
    with pytest.raises(InvalidInput, match="document_id: names nothing of the collection"):
        teacher.check_known({"q1": 0, "x": 1}, {"z": 0})
