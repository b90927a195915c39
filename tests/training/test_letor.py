"""LETOR and SVMrank lines."""

from pathlib import Path

import pytest

from features.columns import Kind
from features.errors import InvalidInput
from training.letor import letor_collection, read_letor


def write(tmp_path: Path, content: str, sidecar: str = "") -> Path:
    """A file, and its `.query` sidecar where there is one."""
    path = tmp_path / "rank.txt"
    path.write_text(content)
    if sidecar:
        (tmp_path / "rank.txt.query").write_text(sidecar)
    return path


def test_reads_letor(tmp_path: Path) -> None:
    """Grades, queries, features and the documents in comments, in both of LETOR's spellings."""
    rows = read_letor(
        write(tmp_path, "# header\n2 qid:7 1:0.5 3:1 # docid = D1 inc = 1\n0 qid:7 2:nan #D2\n1 qid:8\n")
    )
    assert [(row.grade, row.qid, row.document) for row in rows] == [
        (2, "7", "D1"),
        (0, "7", "D2"),
        (1, "8", ""),
    ]
    assert rows[0].features == {"1": 0.5, "3": 1.0}


def test_sidecar_gives_the_queries(tmp_path: Path) -> None:
    """LightGBM's `.query` file counts the rows of each query."""
    rows = read_letor(write(tmp_path, "1 1:1\n0 1:2\n1 1:3\n", "2\n1\n"))
    assert [row.qid for row in rows] == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("content", "sidecar", "message"),
    [
        ("x qid:1 1:1\n", "", "'x' is not a number"),
        ("40 qid:1 1:1\n", "", "not between 0 and 31"),
        ("1 qid:1 1\n", "", "'1' is not `feature:value`"),
        ("1 qid:1 1:x\n", "", "feature '1' is 'x'"),
        ("1 qid:1 1:inf\n", "", "feature '1' is infinite"),
        ("1 qid:1 1:1 1:2\n", "", "a second value for feature '1'"),
        ("1 qid:1 1:1\n0 1:2\n", "", "some lines name a qid"),
        ("1 1:1\n", "", "no rank.txt.query beside it"),
        ("1 1:1\n", "3\n", "counts 3 rows where there are 1"),
        ("1 1:1\n", "x\n", "not a number of rows"),
        ("\n", "", "holds no rows"),
    ],
)
def test_bad_lines(tmp_path: Path, content: str, sidecar: str, message: str) -> None:
    """Every way in which a file can be wrong says so."""
    with pytest.raises(InvalidInput, match=message):
        read_letor(write(tmp_path, content, sidecar))


def test_as_a_collection(tmp_path: Path) -> None:
    """Rows become documents with a number field a feature, 0 where the row leaves it out."""
    found = letor_collection(write(tmp_path, "2 qid:7 1:0.5 10:1 # A\n0 qid:7 2:3 # B\n1 qid:8 1:1\n"))
    assert found.grades == {"7": {"7/A": 2, "7/B": 0}, "8": {"8/2": 1}}
    assert list(found.documents.fields) == ["1", "2", "10"]
    assert found.documents.column("2", Kind.NUMBER).values.tolist() == [0, 3, 0]


def test_a_document_twice_in_a_query(tmp_path: Path) -> None:
    """The same document twice in one query is an error."""
    with pytest.raises(InvalidInput, match="names document 'A' twice"):
        letor_collection(write(tmp_path, "2 qid:7 1:1 # A\n0 qid:7 1:2 # A\n"))
