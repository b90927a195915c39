"""Pair tables into the layout of a collection."""

from pathlib import Path

import pytest

from features.errors import InvalidInput
from training.collection import read_collection
from training.convert import convert, main


def test_answers(tmp_path: Path) -> None:
    """Questions keep their own judged list, equal sentences are one document, and quotes are text."""
    table = tmp_path / "train.tsv"
    table.write_text('question\tsentence\tlabel\nwho ?\t"He\t1\nwho ?\tShe\t0\nwhere ?\tShe\t1\n')
    assert convert("wikiqa", table, tmp_path / "out") == (2, 2, 3)
    found = read_collection(tmp_path / "out")
    assert found.grades == {"q0": {"d0": 1, "d1": 0}, "q1": {"d1": 1}}
    assert found.documents.rows[0]["text"] == '"He'


def test_products(tmp_path: Path) -> None:
    """Mean relevance from 1 to 3 becomes a grade from 0 to 2; of two grades of a pair the higher stays."""
    table = tmp_path / "pairs.tsv"
    table.write_text("query\tproduct_id\ttitle\trelevance\nnail\t1\tNail\t1\nnail\t2\tNail\t2.67\n")
    convert("homedepot", table, tmp_path / "out")
    assert read_collection(tmp_path / "out").grades == {"q0": {"d0": 2}}


def test_bad_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row that is none of the form is named, an unknown form lists those there are."""
    table = tmp_path / "train.tsv"
    table.write_text("question\tsentence\tlabel\nwho ?\tHe\n")
    with pytest.raises(InvalidInput, match="not a row of wikiqa") as caught:
        convert("wikiqa", table, tmp_path / "out")
    assert caught.value.path == f"{table}:2"
    assert main(["other", str(table), str(tmp_path / "out")]) == 2
    assert "there are wikiqa, trecqa, homedepot" in capsys.readouterr().err
    assert main([]) == 2
