"""Lists of movie searches: short queries of names and titles, which question and passage pairs lack."""

import gzip
import json
from pathlib import Path

import numpy as np

from training.fine_tune import List
from training.sources import open_collection

SEED = 11
LISTS, NEGATIVES = 2_500, 4
STYLES = (("title",), ("title", "overview"), ("title", "actors", "overview"))
"""What of a movie a list shows, and how often: titles alone teach short documents."""
SHARES = (0.4, 0.4, 0.2)
ACTORS = 6
TARGETS = np.eye(1, 1 + NEGATIVES, dtype=np.float32)[0]


def read_movies(directory: Path) -> list[List]:
    """A relevant movie against four that were judged not to be, of each of `LISTS` training queries.

    `directory` is the Movie Search Ranking Dataset in BEIR layout, of which `train` alone is read.
    """
    rng = np.random.default_rng(SEED)
    collection = open_collection(directory, "train")
    movies = records(directory)
    lists: list[List] = []
    for query in rng.permutation(list(collection.grades)).tolist():
        judged = collection.grades[query]
        good = [movie for movie, grade in judged.items() if grade > 0]
        bad = [movie for movie, grade in judged.items() if grade <= 0]
        if good and len(bad) >= NEGATIVES and len(lists) < LISTS:
            chosen = [good[rng.integers(len(good))], *rng.choice(bad, NEGATIVES, replace=False).tolist()]
            style = STYLES[int(rng.choice(len(STYLES), p=SHARES))]
            texts = tuple(shown(movies[movie], style) for movie in chosen)
            lists.append(List(collection.queries[query].text, texts, TARGETS))
    return lists


def records(directory: Path) -> dict[str, dict[str, object]]:
    """Id → fields of every movie."""
    with gzip.open(directory / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    return {str(record["id"]): record for record in found}


def shown(movie: dict[str, object], style: tuple[str, ...]) -> str:
    """The movie's fields, joined."""
    parts = [movie.get(name) or "" for name in style]
    texts = [", ".join(part[:ACTORS]) if isinstance(part, list) else str(part) for part in parts]
    return ". ".join(text for text in texts if text)
