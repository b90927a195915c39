"""Which documents a query's ranker is given."""

from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import InvalidInput
from training.candidates import candidates, once
from training.collection import Collection, read_collection
from training.retrieval import corpus_index
from training.runs import read_run

Write = Callable[..., Path]


def listed(collection: Collection, source: str) -> dict[str, list[str]]:
    """The candidates of a source."""
    lists, _ = candidates(collection, source, once(lambda: corpus_index(collection.documents)))
    return {query: list(documents) for query, documents in lists.items()}


def test_judged_order_leaks_nothing(write: Write, many: Collection) -> None:
    """The judged list is shuffled by ids alone: another order of the file gives the same lists."""
    lists = listed(many, "judged")
    assert {query: set(documents) for query, documents in lists.items()} == {
        query: set(grades) for query, grades in many.grades.items()
    }
    first = [many.grades[query][documents[0]] for query, documents in lists.items()]
    assert 0.1 < sum(grade > 0 for grade in first) / len(first) < 0.6  # three of eight are relevant
    qrels = [(q, d, int(g)) for q, grades in many.grades.items() for d, g in reversed(list(grades.items()))]
    documents = [{"_id": name} for name in many.documents.ids]
    queries = [{"_id": query.id, "text": query.text} for query in many.queries.values()]
    assert listed(read_collection(write(documents, queries, qrels, folder="turned")), "judged") == lists


def test_bm25_brings_the_best(small: Collection) -> None:
    """`bm25:K` gives the best K documents that share a word with the query, best first."""
    assert listed(small, "bm25:2") == {"q1": ["a", "d"], "q2": ["c", "d"]}
    assert listed(small, "bm25:100")["q1"] == ["a", "d", "b"]


@pytest.mark.parametrize("source", ["bm25:", "bm25:0", "bm25:x", "bm25:10001", "nowhere.run"])
def test_bad_sources(small: Collection, source: str) -> None:
    """A source that is none is refused under the option's name."""
    with pytest.raises(InvalidInput) as caught:
        listed(small, source)
    assert caught.value.path == "--candidates"


def test_run_file(small: Collection, tmp_path: Path) -> None:
    """A run file's documents come by falling score; unknown ones and queries without any are noted."""
    path = tmp_path / "x.run"
    path.write_text("q1 Q0 b 1 2.5 t\nq1 Q0 zz 2 2 t\nq1 Q0 a 3 7 t\n")
    lists, notes = candidates(small, str(path), lambda: pytest.fail("no index is needed"))
    assert lists == {"q1": {"a": 7.0, "b": 2.5}, "q2": {}}
    assert list(lists["q1"]) == ["a", "b"]
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q1 Q0 a 1 2\n", "not a run line"),
        ("q1 Q0 a 1 x t\n", "not a run line"),
        ("q1 Q0 a 1 nan t\n", "not finite"),
        ("q1 Q0 a 1 2 t\nq1 Q0 a 2 1 t\n", "a second line for query 'q1' and document 'a'"),
        ("", "holds no results"),
    ],
)
def test_bad_run_files(tmp_path: Path, content: str, message: str) -> None:
    """A run line that cannot be right is refused."""
    path = tmp_path / "x.run"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=message):
        read_run(path)


def test_a_run_of_another_collection(small: Collection, tmp_path: Path) -> None:
    """A run that names nothing of the collection is an error."""
    path = tmp_path / "x.run"
    path.write_text("q1 Q0 zz 1 2.5 t\n")
    with pytest.raises(InvalidInput, match="names no query and document"):
        listed(small, str(path))
