"""Small collections on disk and in memory."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from training.collection import Collection, read_collection

Write = Callable[..., Path]

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "a", "title": "red apple", "price": 3.0},
    {"_id": "b", "title": "green apple pie", "price": 5},
    {"_id": "c", "title": "blue boat", "price": None},
    {"_id": "d", "title": "red boat", "price": 9.5},
]
QUERIES = [{"_id": "q1", "text": "red apple"}, {"_id": "q2", "text": "boat"}]
QRELS = [("q1", "a", 2), ("q1", "b", 1), ("q1", "c", 0), ("q2", "c", 1), ("q2", "d", 0)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a collection to a folder and returns it."""

    def make(
        documents: Sequence[Mapping[str, Any]] = DOCUMENTS,
        queries: Sequence[Mapping[str, Any]] = QUERIES,
        qrels: Sequence[tuple[str, str, float]] = QRELS,
        name: str = "",
        folder: str = "collection",
    ) -> Path:
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        dot = f".{name}" if name else ""
        (root / "corpus.jsonl").write_text("".join(json.dumps(each) + "\n" for each in documents))
        (root / f"queries{dot}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in queries))
        rows = "".join(f"{query}\t{document}\t{grade}\n" for query, document, grade in qrels)
        (root / f"qrels{dot}.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
        return root

    return make


@pytest.fixture
def small(write: Write) -> Collection:
    """Four documents, two queries, five judgments."""
    return read_collection(write())


@pytest.fixture
def many(write: Write) -> Collection:
    """60 queries of 8 documents each; the word overlap and the price tell what is relevant."""
    documents, queries, qrels = [], [], []
    for number in range(60):
        word = f"topic{number}"
        queries.append({"_id": f"q{number}", "text": f"{word} thing"})
        for place in range(8):
            grade = 2 if place == 0 else int(place in (1, 2))
            title = f"{word} thing" if grade == 2 else f"{word} other {place}" if grade else f"noise {place}"
            price = grade + (number * place) % 5 / 4
            documents.append({"_id": f"q{number}d{place}", "title": title, "price": price})
            qrels.append((f"q{number}", f"q{number}d{place}", grade))
    return read_collection(write(documents, queries, qrels, folder="many"))
