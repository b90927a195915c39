"""A folder in BEIR's layout: which files are meant, and what does not fit together."""

from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import InvalidInput, NotFound
from tests.support import require_data
from training.collection import Collection, read_collection

Write = Callable[..., Path]


def test_reads_all_of_it(small: Collection) -> None:
    """Documents, queries in order, and grades."""
    assert list(small.documents.ids) == ["a", "b", "c", "d"]
    assert [query.text for query in small.queries.values()] == ["red apple", "boat"]
    assert small.grades["q1"] == {"a": 2, "b": 1, "c": 0}
    assert small.notes == ()
    assert small.name == "collection"


def test_query_values(write: Write) -> None:
    """A query carries named values: strings, numbers and lists of strings; null is absent."""
    extra = {"locale": "de", "age": 3, "likes": ["x", "y"], "none": None, "vip": True}
    found = read_collection(write(queries=[{"_id": "q1", "text": "t", **extra}])).queries["q1"]
    assert found.values == {"locale": "de", "age": 3.0, "likes": ("x", "y"), "vip": 1.0}


def test_names_the_files_there_are(write: Write) -> None:
    """Where the unnamed files are meant and only named ones exist, the error says how to choose."""
    write(name="dev")
    folder = write(name="train")
    (folder / "queries.train.jsonl").rename(folder / "queries.other.jsonl")
    with pytest.raises(NotFound, match=r"queries\.dev\.jsonl.*--queries dev\|other"):
        read_collection(folder)
    with pytest.raises(NotFound, match=r"no qrels\.other"):
        read_collection(folder, "other")


def test_takes_the_only_named_file_with_a_note(write: Write) -> None:
    """Unnamed queries beside a lone `qrels.all.tsv` are read together, and it is said."""
    folder = write()
    (folder / "qrels.tsv").rename(folder / "qrels.all.tsv")
    found = read_collection(folder)
    assert len(found.queries) == 2
    assert found.notes == ("no unnamed qrels file; took qrels.all.tsv, the only one there is",)


def test_no_folder_and_no_corpus(write: Write, tmp_path: Path) -> None:
    """A missing folder and a missing corpus are not found."""
    with pytest.raises(NotFound, match="no such folder"):
        read_collection(tmp_path / "nowhere")
    folder = write()
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(NotFound, match=r"there is no corpus\* file"):
        read_collection(folder)


def test_unknown_ids_are_counted_and_left_out(write: Write) -> None:
    """Judgments of unknown documents and queries become notes, and so do queries without a judgment."""
    qrels = [("q1", "a", 1), ("q1", "zz", 1), ("q9", "a", 1)]
    found = read_collection(write(qrels=qrels))
    assert found.grades == {"q1": {"a": 1}}
    assert list(found.queries) == ["q1"]
    assert "judgments of 1 unknown queries (such as 'q9')" in found.notes[0]
    assert "1 judgments name unknown documents" in found.notes[1]
    assert "1 of 2 queries have no judgment" in found.notes[2]


def test_only_unknown_ids(write: Write) -> None:
    """Judgments none of which fits are an error."""
    with pytest.raises(InvalidInput, match="no judgment names a known query"):
        read_collection(write(qrels=[("q1", "zz", 1)]))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"title": "x"}', "needs an `_id`"),
        ('{"_id": ["x"]}', "needs an `_id`"),
        ('{"_id": ""}', "an empty id"),
        ('{"_id": "a"}', "a second record with the id 'a'"),
    ],
)
def test_bad_document_lines(write: Write, line: str, message: str) -> None:
    """A document that cannot be right is named by its line."""
    folder = write()
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidInput, match=message) as caught:
        read_collection(folder)
    assert caught.value.path == f"{folder / 'corpus.jsonl'}:5"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"_id": "q1", "text": " "}, "not empty"),
        ({"_id": "q1"}, "not empty"),
        ({"_id": "q1", "text": "x", "v": {"a": 1}}, "a string, a number or a list"),
        ({"_id": "q1", "text": "x", "v": 10**400}, r"v: is too large a number"),
    ],
)
def test_bad_queries(write: Write, query: dict[str, object], message: str) -> None:
    """An empty query text and a value of no known kind are errors."""
    with pytest.raises(InvalidInput, match=message):
        read_collection(write(queries=[query]))


def test_digest_follows_the_bytes(write: Write) -> None:
    """The digest changes with any file that was read, and with nothing else."""
    folder = write()
    before = read_collection(folder).digest
    (folder / "notes.md").write_text("x")
    assert read_collection(folder).digest == before
    with (folder / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "e"}\n')
    assert read_collection(folder).digest != before


def test_cranfield_reads_as_it_lies() -> None:
    """Cranfield's unnamed queries go with its `qrels.all.tsv`."""
    found = read_collection(require_data("cranfield"))
    assert (len(found.documents), len(found.queries)) == (1400, 225)
