"""Personal features: real taste of `movielens_small` on the documents of `msrd`, by how much of a person is
known.

Every rating is an event in the order of its time: the film was shown, and clicked if it got four stars or
more. A query is a genre. Of each user's ratings the last fifth is hidden, and asked for when the first of
it was
given: relevant are the hidden films of the genre with four stars or more, among `CANDIDATES` films of the
    genre that the user had not rated before, the others drawn at random from those that MovieLens knows.
    Rankers learn from the fifth before it in the same way. Profiles are those of `cascade/profiles`, read
    as of that moment.

- `popularity`: by how often a film had been rated so far.
- `without`: LambdaMART over what is known of a film (votes, rating, popularity, year) and of its ratings.
- `personal`: that, with affinity to genres, tags, directors and actors, and the taste of a content vector.

Cases: what is known of the user is cut to the last so many ratings; `all` = everything before. One ranker
serves all cases: it has learned from histories cut at random. Figures are means over users; intervals are of
a paired bootstrap over users, 95 %. MovieLens users rate many films at one sitting, so this is taste, not
what they would have clicked in a shop.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.films import FEATURES, SEED, WITHOUT, Asked, Films, World, questions, ratings_of
from benchmarks.harness import Row, data_folder
from cascade.stages.lambdamart import LambdaMartTraining
from features.batch import CandidateBatch, Query
from features.columns import Floats
from features.matrix import FeatureMatrix
from training.dataset import StageData
from training.lambdamart import label_gains, parameters, train
from training.metrics import MRR, NDCG, Conventions, Judge, Scores
from training.records import read_documents
from training.significance import compare

SHORT = False
KNOWN: tuple[int | None, ...] = (0, 5, 20, 80, None)
"""Ratings of the user that are known; None = all."""
TRAINING = LambdaMartTraining(trees=150, leaves=15, learning_rate=0.06, min_in_leaf=50, early_stopping=0)
POPULARITY = "rated"


def run() -> Iterator[Row]:
    """Learn as time goes on, train, and judge."""
    movies, ratings_folder = data_folder("msrd"), data_folder("movielens_small")
    if movies is None or ratings_folder is None:
        return
    films = Films(read_documents(movies / "corpus.jsonl.gz"))
    ratings = ratings_of(ratings_folder, films)
    learn, test = questions(films, ratings, 3), questions(films, ratings, 4)
    random = np.random.default_rng(SEED)
    cut = [KNOWN[at] for at in random.integers(0, len(KNOWN), len(learn)).tolist()]
    wanted: list[tuple[Asked, tuple[int | None, ...], bool]]
    wanted = [(one, (known,), True) for one, known in zip(learn, cut, strict=True)]
    wanted += [(one, KNOWN, False) for one in test]
    world, rows = World(films, ratings), {}
    for one, knowns, training in sorted(wanted, key=lambda each: each[0].time_s):
        world.until(one.time_s)
        for known, matrix in zip(knowns, world.matrices(one, knowns), strict=True):
            rows[one.id, None if training else known, training] = matrix
    fitted = stage_data(learn, [rows[one.id, None, True] for one in learn])
    rankers = {"without": booster(fitted, WITHOUT), "personal": booster(fitted, FEATURES.names)}
    for known in KNOWN:
        yield from judged(test, [rows[one.id, known, False] for one in test], rankers, known)


def stage_data(asked: Sequence[Asked], matrices: Sequence[Floats]) -> StageData:
    """What LambdaMART learns from."""
    offsets = np.concatenate([[0], np.cumsum([len(one.films) for one in asked])])
    batch = CandidateBatch(
        tuple(Query(one.genre, id=one.id) for one in asked),
        [film for one in asked for film in one.films],
        offsets,
    )
    labels = np.array([film in one.liked for one in asked for film in one.films], np.float32)
    matrix = FeatureMatrix(np.concatenate(matrices), FEATURES.names, offsets, FEATURES.fingerprint)
    return StageData(batch, matrix, labels, np.arange(len(asked)))


def booster(data: StageData, reads: Sequence[str]) -> tuple[Any, list[int]]:
    """A booster over some of the features, and where they stand."""
    fitted = train(data, reads, parameters(TRAINING, label_gains(data, TRAINING)), TRAINING.trees)
    return fitted, [data.matrix.index(name) for name in reads]


def judged(
    asked: Sequence[Asked], matrices: Sequence[Floats], rankers: Mapping[str, Any], known: int | None
) -> Iterator[Row]:
    """A row a ranker and metric, means over users."""
    judge = Judge.of({one.id: dict.fromkeys(one.liked, 1.0) for one in asked}, (10,), Conventions())
    popular = FEATURES.names.index(POPULARITY)
    scores = {"popularity": [matrix[:, popular] for matrix in matrices]}
    for name, (fitted, columns) in rankers.items():
        scores[name] = [fitted.predict(matrix[:, columns]) for matrix in matrices]
    measured = {
        name: judge.measure(
            {
                one.id: [one.films[at] for at in np.argsort(-values, kind="stable").tolist()]
                for one, values in zip(asked, each, strict=True)
            }
        )
        for name, each in scores.items()
    }
    case = "all ratings known" if known is None else f"{known} ratings known"
    for metric in (NDCG, MRR):
        users = {name: by_user(found, metric, judge.queries) for name, found in measured.items()}
        for name in ("popularity", "without"):
            yield Row(case, f"{metric}, {name}", float(users[name].mean()), "")
        for other in ("without", "popularity"):
            found = compare(users["personal"], users[other], other, SEED)
            interval = f"{found.low:+.4f} to {found.high:+.4f}"
            ratio = float(users["personal"].mean() / users[other].mean())
            yield Row(case, f"{metric}, personal", float(users["personal"].mean()), interval, other, ratio)


def by_user(scores: Scores, metric: str, queries: Sequence[str]) -> Any:
    """float64[users]: each user's mean."""
    found: dict[str, list[float]] = defaultdict(list)
    for query, value in zip(queries, scores[metric].tolist(), strict=True):
        found[query.split("/")[0]].append(value)
    return np.array([np.mean(values) for values in found.values()])
