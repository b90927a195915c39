"""The ranker that ships with Sluice works on whatever text a collection has."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cascade.config import parse_config
from features.errors import InvalidInput
from training.collection import read_collection
from training.embedded.ranker import embedded_cascade, embedded_ranker
from training.evaluate import Settings, evaluate

DOCUMENTS = [
    {"_id": "a", "name of it": "Recursively delete a directory tree.", "year": 2001, "tags": ["files"]},
    {"_id": "b", "name of it": "Return the current time in seconds.", "year": None, "tags": []},
    {"_id": "c", "name of it": "Sort the list in place.", "year": 1999, "tags": ["lists", "order"]},
]
QUERIES = [{"_id": "q", "text": "remove a folder and everything in it"}]
QRELS = [("q", "a", 1), ("q", "b", 0), ("q", "c", 0)]


def test_it_ranks_a_collection_with_any_text_fields(write: Callable[..., Path]) -> None:
    """Odd field names, missing values and numbers are no obstacle, and all three stages run."""
    collection = read_collection(write(DOCUMENTS, QUERIES, QRELS))
    found = evaluate(embedded_ranker(collection), collection, Settings())
    assert [stage.replay.name for stage in found.stages] == ["first", "sentences", "cross_encoder"]
    assert all(stage.replay.statuses() == {"RAN": 1} for stage in found.stages)
    assert found.stages[-1].replay.lists["q"][0] == "a"


def test_a_collection_without_text_is_an_error() -> None:
    """There is nothing to read, and the error says so."""
    with pytest.raises(InvalidInput, match="no field of the documents is text"):
        embedded_cascade(())


def test_the_title_comes_first_whatever_the_order() -> None:
    """A field that names the document is read first, and weighs more."""
    config = parse_config(embedded_cascade(("body", "title")))
    assert config.stages[1].fields == ("title", "body")  # type: ignore[attr-defined]
