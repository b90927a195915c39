"""Lists, their tokens, and the steps that they fill: by tokens, not by pairs, and always whole lists."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from features.transformer.layout import Layout
from features.transformer.packed import Ids, Pair
from features.transformer.tokens import CHARACTERS_A_TOKEN, shares

CHUNK = 20_000
"""Texts that are tokenised at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class List:
    """A query with its documents.

    Attributes:
        targets: float32[d], gains of at least 0. Where all are 0 the labels teach nothing.
        teacher: float32[d], a teacher's scores, NaN where it has none.
    """

    query: str
    documents: tuple[str, ...]
    targets: NDArray[np.float32]
    teacher: NDArray[np.float32] | None = None

    @property
    def teaches(self) -> bool:
        """Whether there is anything to learn from it."""
        known = 0 if self.teacher is None else int(np.isfinite(self.teacher).sum())
        return bool(self.targets.sum() > 0) or known > 1

    def told(self) -> Iterator[bytes]:
        """All that is in it, for a digest."""
        yield "\0".join((self.query, *self.documents)).encode("utf-8", "replace")
        yield self.targets.tobytes()
        yield b"" if self.teacher is None else self.teacher.tobytes()


Draw = Callable[[int], Sequence[List]]
"""The lists of an epoch, counted from 0; the same epoch gives the same lists."""
Step = Sequence[List]


@dataclass(slots=True)
class Texts:
    """Tokens of texts, each text tokenised once, laid out as pairs by the rule that serving has."""

    tokenizer: Tokenizer
    layout: Layout
    max_tokens: int
    query_tokens: int
    known: dict[str, Ids] = field(default_factory=dict)

    def learn(self, lists: Iterable[List]) -> None:
        """Tokenise what is new."""
        every = dict.fromkeys(text for one in lists for text in (one.query, *one.documents))
        new = [text for text in every if text not in self.known]
        bound = self.max_tokens * CHARACTERS_A_TOKEN
        for start in range(0, len(new), CHUNK):
            some = new[start : start + CHUNK]
            rows = self.tokenizer.encode_batch([text[:bound] for text in some], add_special_tokens=False)
            for text, row in zip(some, rows, strict=True):
                self.known[text] = np.array(row.ids[: self.max_tokens], np.int32)

    def kept(self, query: str, document: str) -> tuple[int, int]:
        """How many tokens of each a pair holds."""
        room = self.max_tokens - self.layout.special
        return shares(len(self.known[query]), len(self.known[document]), room, self.query_tokens)

    def size(self, one: List) -> int:
        """The tokens of a list's pairs."""
        pairs = (sum(self.kept(one.query, document)) for document in one.documents)
        return sum(pairs) + self.layout.special * len(one.documents)

    def pairs(self, one: List) -> list[Pair]:
        """A pair a document."""
        made = []
        for document in one.documents:
            asked, left = self.kept(one.query, document)
            made.append(self.layout.pair(self.known[one.query][:asked], self.known[document][:left]))
        return made


def filled(lists: Iterable[List], size: Callable[[List], int], budget: int) -> Iterator[list[List]]:
    """Runs of lists of at most `budget` tokens; a larger list goes alone."""
    some: list[List] = []
    total = 0
    for one in lists:
        tokens = size(one)
        if some and total + tokens > budget:
            yield some
            some, total = [], 0
        some.append(one)
        total += tokens
    if some:
        yield some


def plan_of(draw: Draw, texts: Texts, epochs: float, step_tokens: int, seed: int) -> list[Step]:
    """The steps of the whole training; the order of an epoch is drawn from the seed and its number alone."""
    whole: list[Step] = []
    passes = int(np.ceil(epochs))
    for epoch in range(passes):
        lists = [one for one in draw(epoch) if one.teaches]
        texts.learn(lists)
        order = np.random.default_rng([seed, epoch]).permutation(len(lists))
        whole += filled((lists[at] for at in order.tolist()), texts.size, step_tokens)
    return whole[: max(1, round(len(whole) * epochs / passes))] if whole else []


def digest_of(plan: Iterable[Step], *settings: Any) -> str:
    """SHA-256 of settings (by their repr) and of all that the steps hold."""
    digest = sha256(repr(settings).encode())
    for step in plan:
        for one in step:
            for part in one.told():
                digest.update(part)
    return digest.hexdigest()
