"""Judgments in three forms, and every way in which a line can be wrong."""

import gzip
from pathlib import Path

import pytest

from features.errors import InvalidInput, NotFound
from training.judgments import read_grades

WANTED = {"q1": {"a": 2.0, "b": 0.0}, "q2": {"a": 1.0}}
FORMS = {
    "beir.tsv": "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\ta\t1\n",
    "headless.tsv": "q1\ta\t2\nq1\tb\t0\n\nq2\ta\t1\n",
    "trec.txt": "q1 0 a 2\nq1 0 b 0\nq2 0 a 1\n",
    "tabbed.txt": "q1\t0\ta\t2\nq1\t0\tb\t0\nq2\t0\ta\t1\n",
    "table.csv": 'docid,Grade,note,query\na,2,"x, y",q1\nb,0,,q1\na,1,,q2\n',
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_reads_alike(tmp_path: Path, name: str) -> None:
    """BEIR tables with and without a header, TREC qrels and CSV give the same grades."""
    path = tmp_path / name
    path.write_text(FORMS[name])
    assert read_grades(path) == WANTED


def test_gzip_and_byte_order_mark(tmp_path: Path) -> None:
    """A gzipped file that begins with a byte order mark reads as the plain one."""
    path = tmp_path / "beir.tsv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + FORMS["beir.tsv"].encode()))
    assert read_grades(path) == WANTED


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        ("q1\ta\t2\nq1\tb\n", "not a judgment", 2),
        ("q1\ta\t2\nq1\tb\tx\n", "'x' is not a number", 2),
        ("q1\ta\t-1\n", "not between 0 and 31", 1),
        ("q1\ta\t32\n", "not between 0 and 31", 1),
        ("q1\ta\tnan\n", "not between 0 and 31", 1),
        ("q1\ta\tinf\n", "not between 0 and 31", 1),
        ("q1\ta\t1\n\nq1\ta\t2\n", "have grade 2 here and 1 at", 3),
        ("q1\ta\tb\tc\td\n", "not a judgment", 1),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: str, message: str, line: int) -> None:
    """What is wrong is said with `file:line`."""
    path = tmp_path / "qrels.tsv"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        read_grades(path)
    assert caught.value.path == f"{path}:{line}"


def test_contradiction_names_both_lines(tmp_path: Path) -> None:
    """The same pair with two grades names the line of each; the same grade twice is fine."""
    path = tmp_path / "qrels.tsv"
    path.write_text("q1\ta\t1\nq1\ta\t1\nq1\ta\t3\n")
    with pytest.raises(InvalidInput) as caught:
        read_grades(path)
    assert f"{path}:1" in caught.value.message
    assert caught.value.path == f"{path}:3"


def test_csv_without_a_column(tmp_path: Path) -> None:
    """A CSV header without the three names says which one is absent."""
    path = tmp_path / "table.csv"
    path.write_text("query,doc,grade\nq,d,1\n")
    with pytest.raises(InvalidInput, match="lacks docid"):
        read_grades(path)


def test_csv_row_too_short(tmp_path: Path) -> None:
    """A CSV row with fewer cells than the header is named."""
    path = tmp_path / "table.csv"
    path.write_text("query,docid,grade\nq,d,1\nq,e\n")
    with pytest.raises(InvalidInput) as caught:
        read_grades(path)
    assert caught.value.path == f"{path}:3"


def test_invalid_utf8_is_named(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are an error of their line."""
    path = tmp_path / "qrels.tsv"
    path.write_bytes(b"q1\ta\t1\nq1\t\xff\t1\n")
    with pytest.raises(InvalidInput, match="not UTF-8") as caught:
        read_grades(path)
    assert caught.value.path == f"{path}:2"


def test_truncated_gzip(tmp_path: Path) -> None:
    """A gzip file that is cut short is an error, not a shorter file."""
    path = tmp_path / "qrels.tsv.gz"
    path.write_bytes(gzip.compress(FORMS["beir.tsv"].encode())[:-9])
    with pytest.raises(InvalidInput, match="broken gzip"):
        read_grades(path)


def test_empty_and_absent(tmp_path: Path) -> None:
    """A file without judgments is bad input, a file that is not there is not found."""
    path = tmp_path / "qrels.tsv"
    path.write_text("query-id\tcorpus-id\tscore\n")
    with pytest.raises(InvalidInput, match="holds no judgments"):
        read_grades(path)
    with pytest.raises(NotFound):
        read_grades(tmp_path / "other.tsv")
