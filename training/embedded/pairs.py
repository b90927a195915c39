"""Question and passage pairs of open collections, whose licences allow shipped weights."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHARE = {
    "boolq": 7_000,
    "covidqa_ccby": 1_200,
    "medquad": 4_000,
    "pubmedqa_l": 3_500,
    "qed_nq_dev": 1_300,
    "squad1_nqg_test": 6_000,
    "squad2_dev": 5_500,
    "tldr_cmd": 7_000,
}
"""Lists drawn from each collection, so that templated or one-sided ones do not drown the others."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query with the passage that answers it. `article` is where the passage was cut from."""

    source: str
    query: str
    title: str
    text: str
    article: str

    @property
    def document(self) -> str:
        """The passage under its title."""
        return f"{self.title}. {self.text}" if self.title else self.text


def read(directory: Path) -> list[Pair]:
    """Every pair with label 1, of every collection in `SHARE`."""
    return [pair for source in SHARE for pair in read_one(directory, source)]


def read_one(directory: Path, source: str) -> Iterator[Pair]:
    """One collection's pairs with label 1."""
    with gzip.open(directory / f"{source}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("label", 1) == 1:
                article = str(row.get("article") or "")
                yield Pair(source, row["query"], row.get("title") or "", row["text"], article)
