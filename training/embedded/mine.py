"""Lists to learn from: a query, the passage that answers it, and passages that only look as if they did.

Negatives are drawn among the passages nearest to the query by the teacher's cosine, after those that the
teacher holds to be nearly as good as the answer (likely unlabelled answers; Moreira et al. 2024), and one at
random. The target mixes the label with the teacher's own softmax, so that the student keeps what the teacher
knows beyond these collections.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.embedded.pairs import SHARE, Pair
from training.fine_tune import List

Vectors = Mapping[str, NDArray[np.float16]]


@dataclass(frozen=True, slots=True)
class Mining:
    """How lists are made.

    Attributes:
        negatives: hard ones a list; one random one comes on top.
        depth: how many of the nearest passages they are drawn from.
        nearly: a passage above this share of the answer's cosine is no negative.
        teacher: the teacher's share of the target; `sharpness` multiplies its cosines.
        bare: the share of lists whose passages go without their titles.
        titled: the share of lists whose query is the title, which teaches keyword queries.
    """

    negatives: int = 3
    depth: int = 60
    nearly: float = 0.95
    teacher: float = 0.3
    sharpness: float = 20.0
    bare: float = 0.4
    titled: float = 0.08
    seed: int = 7


def mine(pairs: Sequence[Pair], vectors: Vectors, mining: Mining, part: float = 1.0) -> list[List]:
    """Lists of every collection, each up to that part of its share."""
    rng = np.random.default_rng(mining.seed)
    return [
        one
        for source, share in SHARE.items()
        for one in mine_source(
            [pair for pair in pairs if pair.source == source], int(share * part), vectors, mining, rng
        )
    ]


def mine_source(
    pairs: Sequence[Pair], share: int, vectors: Vectors, mining: Mining, rng: np.random.Generator
) -> list[List]:
    """Lists of one collection."""
    documents = list({pair.document: pair for pair in pairs}.values())
    table = np.stack([vectors[pair.document] for pair in documents]).astype(np.float32)
    at = {pair.document: row for row, pair in enumerate(documents)}
    answers: dict[str, set[int]] = {}
    for pair in pairs:
        answers.setdefault(pair.query, set()).add(at[pair.document])
    chosen = rng.permutation(len(pairs))[:share]
    lists = []
    for block in np.array_split(chosen, max(1, len(chosen) // 512)):
        asked = np.stack([vectors[pairs[i].query] for i in block]).astype(np.float32)
        for i, cosines in zip(block, asked @ table.T, strict=True):
            pair = pairs[i]
            rows = draw(cosines, at[pair.document], answers[pair.query], mining, rng)
            lists.append(listed(pair, [documents[row] for row in rows], cosines[rows], mining, rng))
    return lists


def draw(
    cosines: NDArray[np.float32], answer: int, known: set[int], mining: Mining, rng: np.random.Generator
) -> list[int]:
    """Rows of a list, the answer first."""
    allowed = cosines < mining.nearly * cosines[answer]
    allowed[list(known)] = False
    open_rows = np.flatnonzero(allowed)
    nearest = open_rows[np.argsort(-cosines[open_rows], kind="stable")[: mining.depth]]
    hard = rng.choice(nearest, min(mining.negatives, len(nearest)), replace=False)
    others = np.setdiff1d(open_rows, hard)
    far = rng.choice(others, min(1, len(others)), replace=False)
    return [answer, *hard.tolist(), *far.tolist()]


def listed(
    pair: Pair,
    documents: Sequence[Pair],
    cosines: NDArray[np.float32],
    mining: Mining,
    rng: np.random.Generator,
) -> List:
    """The list with its target distribution."""
    soft = np.exp(mining.sharpness * (cosines - cosines.max()))
    label = np.eye(len(documents), dtype=np.float32)[0]
    targets = (1 - mining.teacher) * label + mining.teacher * soft / soft.sum()
    bare = rng.random() < mining.bare
    titled = pair.title and rng.random() < mining.titled
    texts = [one.text if bare or titled else one.document for one in documents]
    query = pair.title if titled else pair.query
    return List(query, tuple(texts), (label if titled else targets).astype(np.float32))
