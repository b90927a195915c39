"""Features: BM25 against a plain one and bm25s; 40 features and LambdaMART for 100 to 10,000 candidates.

The plain way and bm25s are timed as pairs of their own, which favours ours: with bm25s in the same loop, 100
candidates of 12 words were seen at 1.5 to 2 times the plain way, not 4 (probably cold caches). A busy server
may look more like that.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import median
from time import thread_time

import bm25s
import lightgbm
import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.harness import Row, interleaved, peak_growth_mib
from features.batch import CandidateBatch, Query, single
from features.columns import Column, number, text
from features.feature import Feature
from features.featureset import FeatureSet
from features.kinds.bm25 import Bm25
from features.kinds.bm25f import Bm25f
from features.kinds.length import Length
from features.kinds.ngram import Ngram
from features.kinds.numeric import Numeric
from features.kinds.overlap import Overlap

SHORT = True
SEED = 17
NUMBERS = 20
SYLLABLES = [a + b for a in "bcdfghlmnprstvw" for b in "aeiou"]
CORPUS = 2_000


def run() -> Iterator[Row]:
    """All rows: BM25, then the whole of features and LambdaMART."""
    world = World(default_rng(SEED))
    for words in (12, 55):
        for candidates in (100, 1_000):
            yield from bm25_rows(world, words, candidates)
    yield from cascade_rows(world)


@dataclass(frozen=True)
class World:
    """Made texts: a vocabulary of 30,000 words of about five letters, drawn by Zipf's law."""

    rng: Generator

    @cached_property
    def vocabulary(self) -> NDArray[np.str_]:
        """Words, the frequent ones shorter."""
        sizes = 1 + np.minimum(np.arange(30_000) // 600, 1) + self.rng.integers(0, 3, 30_000)
        made = ["".join(self.rng.choice(SYLLABLES, size)) for size in sizes]
        return np.array(list(dict.fromkeys(made)))

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """How often each word is said."""
        weights = 1 / np.arange(5, 5 + len(self.vocabulary))
        return np.asarray(weights / weights.sum())

    def texts(self, n: int, words: int) -> list[str]:
        """n new texts of about that many words, with capitals and full stops."""
        sizes = self.rng.poisson(words, n)
        drawn = self.rng.choice(self.vocabulary, sizes.sum(), p=self.shares).tolist()
        ends = np.cumsum(sizes).tolist()
        return [
            " ".join(drawn[end - size : end]).capitalize() + "."
            for end, size in zip(ends, sizes.tolist(), strict=True)
        ]

    def query(self) -> str:
        """Three or four words, none of them among the ten most frequent."""
        return " ".join(self.vocabulary[10 + self.rng.geometric(0.002, self.rng.integers(3, 5))])


@dataclass(frozen=True)
class Plain:
    """The fair peer: BM25 with `re`, Python and numpy; same analysis, same formula, same statistics."""

    idf: dict[str, float]
    unseen: float
    average: float

    @classmethod
    def learn(cls, texts: Sequence[str]) -> "Plain":
        """Statistics of a corpus."""
        documents = [re.findall(r"\w+", body.lower()) for body in texts]
        frequency: dict[str, int] = {}
        for document in documents:
            for word in set(document):
                frequency[word] = frequency.get(word, 0) + 1
        n = len(documents)
        idf = {word: float(np.log1p((n - df + 0.5) / (df + 0.5))) for word, df in frequency.items()}
        return cls(idf, float(np.log1p((n + 0.5) / 0.5)), sum(map(len, documents)) / n)

    def score(
        self, query: str, texts: Sequence[str], k1: float = 1.2, b: float = 0.75
    ) -> NDArray[np.float32]:
        """float32[n]."""
        asked = re.findall(r"\w+", query.lower())
        index = {word: slot for slot, word in enumerate(dict.fromkeys(asked))}
        weights = np.array([asked.count(word) * self.idf.get(word, self.unseen) for word in index])
        cells: list[int] = []
        lengths = []
        find = re.compile(r"\w+").findall
        for row, body in enumerate(texts):
            words = find(body.lower())
            lengths.append(len(words))
            base = row * len(index)
            cells += [base + index[word] for word in words if word in index]
        tf = np.bincount(cells, minlength=len(texts) * len(index)).reshape(len(texts), -1)
        norm = k1 * (1 - b + b * np.array(lengths) / self.average)
        return np.asarray(tf / (tf + norm[:, None]) @ weights, np.float32)


def by_bm25s(request: CandidateBatch) -> NDArray[np.float32]:
    """The candidates indexed and scored with bm25s (statistics are the candidates')."""
    tokenize = partial(bm25s.tokenize, token_pattern=r"(?u)\w+", stopwords=None, show_progress=False)
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index(tokenize(request.columns["body"].values), show_progress=False)
    (asked,) = tokenize([request.queries[0].text], return_ids=False)
    known = [word for word in asked if word in index.vocab_dict]
    return np.asarray(index.get_scores(known) if known else np.zeros(len(request)), np.float32)


def bm25_rows(world: World, words: int, candidates: int) -> Iterator[Row]:
    """Ours, plain and bm25s on fresh texts, after their numbers were found equal."""
    corpus = world.texts(CORPUS, words)
    ids = [str(i) for i in range(candidates)]
    feature = Bm25(name="bm25", field="body")
    listed = Bm25(name="listed", field="body", statistics="candidates")
    state = feature.prepare(batch_of("", corpus))
    plain = Plain.learn(corpus)
    contestants = {
        "sluice": lambda one: feature.compute(one, state)[:, 0],
        "plain": lambda one: plain.score(one.queries[0].text, one.columns["body"].values),
        "bm25s": by_bm25s,
    }

    def fresh(times: int) -> list[CandidateBatch]:
        texts = [text(world.texts(candidates, words)) for _ in range(times)]
        return [single(Query(world.query()), ids, {"body": column}) for column in texts]

    for one in fresh(3):
        equal(contestants["sluice"](one), contestants["plain"](one))
        equal(listed.compute(one, {})[:, 0], by_bm25s(one))
    case = f"BM25, {candidates:,} candidates of {words} words"
    for name, times in (("plain", 80), ("bm25s", 20)):
        pair = {"sluice": contestants["sluice"], name: contestants[name]}
        taken = interleaved(pair, fresh(times if candidates == 100 else times // 4), thread_time)
        mine, theirs = (seconds / candidates * 1e6 for seconds in taken.values())
        yield Row(case, f"{name}: time a candidate", theirs, "µs")
        yield Row(case, "sluice: time a candidate", mine, "µs", name, theirs / mine)


def equal(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    """The same numbers, or no figure."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def batch_of(query: str, bodies: Sequence[str]) -> CandidateBatch:
    """One query's candidates with a body."""
    return single(Query(query), [str(i) for i in range(len(bodies))], {"body": text(bodies)})


def forty_features() -> list[Feature]:
    """20 columns of text features over title and body, 20 numeric ones."""
    made: list[Feature] = [Bm25f(name="bm25f", fields={"title": 2.0, "body": 1.0})]
    for field in ("title", "body"):
        made += [
            Bm25(name=f"{field}_bm25", field=field),
            Bm25(name=f"{field}_bm25_stems", field=field, stem=True),
            Overlap(name=f"{field}_overlap", field=field),
            Length(name=f"{field}_length", field=field),
            Ngram(name=f"{field}_containment", field=field, measure="containment"),
        ]
    made.append(Ngram(name="title_dice", field="title"))
    return made + [Numeric(name=f"number_{i}", field=f"number_{i}") for i in range(NUMBERS)]


def request(world: World, candidates: int) -> CandidateBatch:
    """Fresh candidates: a title of 6 words, a body of 55, 20 numbers."""
    columns: dict[str, Column] = {
        "title": text(world.texts(candidates, 6)),
        "body": text(world.texts(candidates, 55)),
    }
    for i in range(NUMBERS):
        columns[f"number_{i}"] = number(world.rng.lognormal(size=candidates))
    return single(Query(world.query()), [str(i) for i in range(candidates)], columns)


def booster(features: FeatureSet, world: World) -> lightgbm.Booster:
    """300 trees of 63 leaves over the features of made requests, to made labels."""
    matrices = [features.compute(request(world, 500)).values for _ in range(12)]
    values = np.concatenate(matrices)
    wanted = np.nan_to_num(values[:, 0]) + values[:, -3:].sum(axis=1) + world.rng.normal(size=len(values))
    labels = np.searchsorted(np.quantile(wanted, [0.5, 0.8, 0.95]), wanted)
    data = lightgbm.Dataset(values, labels, group=[500] * 12)
    settings = {
        "objective": "lambdarank",
        "num_leaves": 63,
        "min_data_in_leaf": 5,
        "verbose": -1,
        "num_threads": 1,
    }
    return lightgbm.train(settings, data, num_boost_round=300)


def cascade_rows(world: World) -> Iterator[Row]:
    """Time, memory and each feature's share, and how they grow with the candidates."""
    features = FeatureSet.declare(forty_features()).prepare(request(world, CORPUS))
    model = booster(features, world)
    assert (len(features.names), model.num_trees()) == (40, 300)
    base: dict[str, float] = {}
    for candidates, repetitions in ((100, 40), (1_000, 12), (10_000, 5)):
        case = f"40 features and LambdaMART, {candidates:,} candidates"
        measured = measure(features, model, [request(world, candidates) for _ in range(repetitions)])
        for name, seconds in measured.items():
            cost = seconds / candidates * 1e6
            base.setdefault(name, cost)
            yield Row(case, f"{name}: time a candidate", cost, "µs", "100 candidates", base[name] / cost)
        yield from share_rows(case, features, [request(world, candidates) for _ in range(repetitions)])
        grew = peak_growth_mib(partial(features.compute, request(world, candidates)))
        yield Row(case, "features: peak memory growth", grew, "MiB")


def measure(
    features: FeatureSet, model: lightgbm.Booster, requests: list[CandidateBatch]
) -> dict[str, float]:
    """Median seconds of features, LambdaMART on one thread, and both."""
    contestants = {
        "features": features.compute,
        "LambdaMART": lambda one: model.predict(one.memo["matrix"], num_threads=1),
    }
    for one in requests:
        copy = single(one.queries[0], one.ids, one.columns)
        one.memo["matrix"] = features.compute(copy).values
    taken = interleaved(contestants, requests, thread_time)
    return {**taken, "both": sum(taken.values())}


def share_rows(case: str, features: FeatureSet, requests: list[CandidateBatch]) -> Iterator[Row]:
    """Each feature's share of the median times, in per cent; the first reader of a text analyses it."""
    runs = [features.compute_timed(one)[1] for one in requests]
    grouped: dict[str, float] = {}
    for name in runs[0]:
        group = f"numbers ({NUMBERS})" if name.startswith("number_") else name
        grouped[group] = grouped.get(group, 0.0) + median(seconds[name] for seconds in runs)
    for group, taken in grouped.items():
        yield Row(case, f"share of {group}", 100 * taken / sum(grouped.values()), "%")
