"""Small stand-ins for tests of features and plug-ins: random batches, a tokenizer, an encoder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from features import columns
from features.batch import CandidateBatch, Query
from features.behaviour import COSINE, Statistic
from features.columns import Column
from features.encoder import save_encoder

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_tokenizer(pieces: Sequence[str], *, lowercase: bool = True) -> bytes:
    """The JSON of a BERT tokenizer with BERT's special tokens and then the given pieces (`##` inside)."""
    vocabulary = {piece: token for token, piece in enumerate(dict.fromkeys((*SPECIAL, *pieces)))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106
    tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    return str(tokenizer.to_str()).encode()


def tiny_encoder(path: Path, pieces: Sequence[str], dimension: int = 16, seed: int = 0) -> Path:
    """An encoder file with random vectors of the given pieces; special tokens have no say."""
    random = np.random.default_rng(seed)
    total = len(dict.fromkeys((*SPECIAL, *pieces)))
    scale = random.uniform(0.5, 1.5, total).astype(np.float32)
    scale[: len(SPECIAL)] = 0.0
    table = random.integers(-127, 128, (total, dimension)).astype(np.int8)
    save_encoder(path, table, scale, tiny_tokenizer(pieces))
    return path


WORDS = ("sea", "ship", "Moon", "red", "ships", "crime", "drama", "the")
GENRES = ("Drama", "Crime", "red sea")
NAN = float("nan")
COUNTED = tuple(
    Statistic(scope, signal, "long", field).column
    for scope, field in (("tenant", ""), ("item", ""), ("user", ""), ("user_field", "genres"))
    for signal in ("click", "impression")
)
"""Columns of behaviour that a random batch has, beside a cosine with its vectors."""


class Draw:
    """Random parts of a batch, with signs of absence among them unless all is to be complete."""

    def __init__(self, seed: int, complete: bool) -> None:
        self.random, self.complete = Random(seed), complete  # noqa: S311 (test data)

    def rows(self, n: int, present: Callable[[], Any], *absent: Any) -> list[Any]:
        """n values, a third of them missing."""
        gap = 0.0 if self.complete else 1 / 3
        return [self.random.choice(absent) if self.random.random() < gap else present() for _ in range(n)]

    def phrase(self) -> str:
        """One to six known words."""
        return " ".join(self.random.choices(WORDS, k=self.random.randint(1, 6)))

    def genres(self) -> tuple[str, ...]:
        """One to three keywords, perhaps one of them twice."""
        return tuple(self.random.choices(GENRES, k=self.random.randint(1, 3)))

    def number(self) -> float:
        """Often equal to another, sometimes huge or tiny."""
        return self.random.choice(
            [0.0, 1.0, -3.5, self.random.gauss(0, 1) * 10.0 ** self.random.randint(-30, 30)]
        )

    def time(self) -> float:
        """Seconds since 1970."""
        return self.random.uniform(0, 2e9)

    def vector(self) -> list[float]:
        """Four numbers, not all of them 0."""
        return self.random.choices([1.0, -2.0, 0.5], k=4)

    def query(self) -> Query:
        """A query, perhaps an empty or odd one, perhaps without the values and vectors that kinds ask for."""
        (text,) = self.rows(1, self.phrase, "", "ünïcode \x00", "?!")
        vectors = {"embedding": np.array(self.vector(), np.float32)}
        made: Query
        (made,) = self.rows(
            1, lambda: Query(text, {"now": self.time(), "genre": self.genres()}, vectors), Query(text)
        )
        return made


def random_batch(sizes: Sequence[int], seed: int, complete: bool) -> CandidateBatch:
    """Candidates of several queries, `sizes` of them each, with a column of every kind.

    Texts `title` and `body`, keywords `genres`, numbers `price`, `retrieval_score`, `feature.a` and
    `feature.b`, counts of behaviour, timestamps `released`, and vectors `embedding` of four; queries have
    the values `now` and `genre` and a vector `embedding`. Unless `complete`, a third of everything is
    missing, empty or odd.
    """
    draw, n = Draw(seed, complete), sum(sizes)
    made: dict[str, Column] = {}
    for name in ("title", "body"):
        made[name] = columns.text(draw.rows(n, draw.phrase, None, "", "ünïcode 中文 \x00", "unknown"))
    made["genres"] = columns.keyword(draw.rows(n, draw.genres, (), ("ß", "")))
    for name in ("price", "retrieval_score", "feature.a", "feature.b"):
        made[name] = columns.number(draw.rows(n, draw.number, NAN))
    made["released"] = columns.timestamp(draw.rows(n, draw.time, NAN))
    for name in (*COUNTED, Statistic("user_vector", COSINE, "long", "embedding").column):
        made[name] = columns.number(draw.rows(n, draw.number, NAN))
    rows = draw.rows(n, draw.vector, [NAN] * 4, [0.0] * 4)
    made["embedding"] = columns.vector(np.array(rows, np.float32).reshape(n, 4))
    asked = tuple(draw.query() for _ in sizes)
    return CandidateBatch(asked, [f"d{i}" for i in range(n)], np.cumsum([0, *sizes]), made)
