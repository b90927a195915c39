"""The films of `msrd` with the ratings of `movielens_small` as a log of behaviour, for `personal`."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cascade.eventlog.arrivals import Arrived
from cascade.events import CLICK, MICROS, Impression, Interaction
from cascade.profiles.context import context_of
from cascade.profiles.join import NOW, Wanted, joined, keys_for
from cascade.profiles.keys import USER, key_of
from cascade.profiles.learn import learn_all
from cascade.profiles.memory import MemoryProfiles
from cascade.profiles.rules import Rules
from features.batch import CandidateBatch, Query, single
from features.columns import Column, Floats, Kind
from features.featureset import FeatureSet
from features.keywords import fold
from features.registry import parse_features
from training.documents import Documents

SEED = 11
CANDIDATES, GENRES_A_USER, LIKED = 100, 2, 4.0
TENANT = "films"
RULES = Rules(recent_days=30, long_days=1_000, ttl_days=20_000)
DIMENSION = 32

FIELDS = ("genres", "tags", "director", "actors")
FILM = [
    *({"kind": "numeric", "field": name} for name in ("votes", "rating", "popularity", "year")),
    {"kind": "behaviour", "name": "liked", "of": "item"},
    {"kind": "behaviour", "name": "rated", "of": "item", "signal": "impression", "statistic": "count"},
    {
        "kind": "behaviour",
        "name": "rated_lately",
        "of": "item",
        "signal": "impression",
        "statistic": "count",
        "window": "recent",
    },
]
PERSON = [
    {"kind": "behaviour", "name": "generous", "of": "user"},
    *({"kind": "affinity", "field": name, "name": f"likes_{name}"} for name in FIELDS),
    {"kind": "taste", "field": "content", "name": "taste"},
    {"kind": "taste", "field": "content", "name": "mood", "window": "recent"},
]
FEATURES = FeatureSet.declare(parse_features([*FILM, *PERSON]))
WITHOUT = FeatureSet.declare(parse_features(FILM)).names
WANTED = Wanted.of(read.name for read in FEATURES.inputs)


@dataclass(frozen=True, slots=True)
class Rating:
    """One film by one user."""

    user: str
    film: str
    stars: float
    time_s: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A user asks for a genre: the films that could be shown, and those they liked afterwards."""

    id: str
    user: str
    genre: str
    time_s: int
    films: tuple[str, ...]
    liked: frozenset[str]


@dataclass(frozen=True, eq=False)
class Films:
    """The documents, with their fields as columns and a vector each."""

    documents: Documents
    contexts: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Every column that features read of a film."""
        wanted = [read for read in FEATURES.inputs if not read.name.startswith("behaviour.")]
        made = {
            read.name: self.documents.column(read.name, read.kind)
            for read in wanted
            if read.name != "content"
        }
        return {**made, "content": Column(Kind.VECTOR, content_vectors(made))}

    @cached_property
    def by_genre(self) -> Mapping[str, list[str]]:
        """Genre → films."""
        found: dict[str, list[str]] = defaultdict(list)
        for film, row in self.documents.ids.items():
            for genre in dict.fromkeys(map(fold, self.columns["genres"].values[row])):
                found[genre].append(film)
        return found

    def batch(self, films: Sequence[str], query: Query) -> CandidateBatch:
        """Candidates."""
        rows = np.array([self.documents.ids[film] for film in films], np.int64)
        return single(query, list(films), {name: column.take(rows) for name, column in self.columns.items()})

    def context(self, film: str) -> bytes:
        """What an impression of a film alone holds."""
        if film not in self.contexts:
            batch = self.batch([film], Query(""))
            self.contexts[film] = context_of(batch, np.array([0]), FEATURES.inputs)
        return self.contexts[film]


def content_vectors(columns: Mapping[str, Column]) -> Floats:
    """float32[n, d]: latent semantic vectors (Deerwester et al., 1990) of the films' keywords, by idf."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import svds

    terms: dict[str, int] = {}
    rows, codes = [], []
    for name in FIELDS:
        for row, keywords in enumerate(columns[name].values):
            for keyword in dict.fromkeys(map(fold, keywords)):
                rows.append(row)
                codes.append(terms.setdefault(f"{name}:{keyword}", len(terms)))
    counts = np.bincount(codes)
    n = len(columns["genres"])
    weights = np.log(n / counts)[codes]
    matrix = csr_matrix((weights, (rows, codes)), (n, len(terms)))
    left, values, _ = svds(matrix[:, counts > 1], DIMENSION, v0=np.ones(min(n, int((counts > 1).sum()))))
    made: Floats = (left * values).astype(np.float32)
    made[~made.any(axis=1)] = np.nan
    return made


def ratings_of(folder: Path, films: Films) -> list[Rating]:
    """The ratings of known films, in order of time."""
    with (folder / "links.csv").open() as file:
        known = {row["movieId"]: row["tmdbId"] for row in csv.DictReader(file)}
    with gzip.open(folder / "ratings.csv.gz", "rt") as file:
        found = [
            Rating(row["userId"], film, float(row["rating"]), int(row["timestamp"]))
            for row in csv.DictReader(file)
            if (film := known.get(row["movieId"], "")) in films.documents.ids
        ]
    return sorted(found, key=lambda one: (one.time_s, one.user, one.film))


@dataclass(eq=False)
class World:
    """Ratings as events, learned as time goes on.

    Attributes:
        store: what is known so far. learned: how many ratings that is. history: user → their ratings so far.
    """

    films: Films
    ratings: list[Rating]
    store: MemoryProfiles = field(default_factory=MemoryProfiles)
    learned: int = 0
    history: dict[str, list[Rating]] = field(default_factory=lambda: defaultdict(list))

    def until(self, time_s: int) -> None:
        """Learn all that happened before a moment."""
        end = self.learned
        while end < len(self.ratings) and self.ratings[end].time_s < time_s:
            self.history[self.ratings[end].user].append(self.ratings[end])
            end += 1
        for start in range(self.learned, end, 128):
            some = self.ratings[start : min(end, start + 128)]
            learn_all(self.store, TENANT, list(self.events(some, start)), RULES)
        self.learned = end

    def events(self, ratings: Sequence[Rating], first: int = 0) -> Iterator[Arrived]:
        """A page of one film for each rating, and a click on it if they liked it."""
        for number, one in enumerate(ratings, first):
            shown: dict[str, Any] = {"request_id": f"r{number}", "time_us": one.time_s * MICROS}
            yield Arrived(
                2 * number,
                Impression(
                    event_id=f"r{number}",
                    candidates=(one.film,),
                    user=one.user,
                    context=self.films.context(one.film),
                    **shown,
                ),
            )
            if one.stars >= LIKED:
                yield Arrived(
                    2 * number + 1, Interaction(event_id="e", candidate_id=one.film, type=CLICK, **shown)
                )

    def matrices(self, asked: Asked, knowns: Sequence[int | None]) -> list[Floats]:
        """float32[n, k] each: features as of now, with only the user's last so many ratings known."""
        query = Query(asked.genre, {NOW: float(asked.time_s), "user.id": asked.user}, id=asked.id)
        batch = self.films.batch(asked.films, query)
        values = list(self.store.read(TENANT, keys_for(batch, WANTED)))
        made: list[Floats] = []
        whole = values[1]
        for known in knowns:
            values[1] = whole if known is None else self.cut(asked.user, known)
            made.append(FEATURES.compute(joined(batch, WANTED, values, RULES)).values)
        return made

    def cut(self, user: str, known: int) -> bytes | None:
        """The profile of a user of whom only the last ratings are known."""
        mine, own = self.history[user], MemoryProfiles()
        learn_all(own, TENANT, list(self.events(mine[max(0, len(mine) - known) :])), RULES)
        return own.read(TENANT, [key_of(USER, user)])[0]


def questions(films: Films, ratings: Sequence[Rating], fifth: int) -> list[Asked]:
    """What users ask for, when the `fifth` part (3 or 4, from 0) of their ratings begins."""
    random = np.random.default_rng(SEED + fifth)
    rated = {one.film for one in ratings}
    by_user: dict[str, list[Rating]] = defaultdict(list)
    for one in ratings:
        by_user[one.user].append(one)
    found: list[Asked] = []
    for user, mine in by_user.items():
        start, end = len(mine) * fifth // 5, len(mine) * (fifth + 1) // 5
        hidden, time_s = mine[start:end], mine[start].time_s if end > start else 0
        before = {one.film for one in mine if one.time_s < time_s}
        liked: dict[str, set[str]] = defaultdict(set)
        for one in hidden:
            if one.stars >= LIKED and one.film not in before:
                row = films.documents.ids[one.film]
                for genre in dict.fromkeys(map(fold, films.columns["genres"].values[row])):
                    liked[genre].add(one.film)
        for genre in sorted(liked, key=lambda one: (-len(liked[one]), one))[:GENRES_A_USER]:
            others = rated - before - liked[genre]
            pool = [film for film in films.by_genre[genre] if film in others]
            drawn = random.permutation(len(pool))[: CANDIDATES - len(liked[genre])]
            chosen = sorted([*liked[genre], *(pool[at] for at in drawn.tolist())])
            shown = tuple(chosen[at] for at in random.permutation(len(chosen)).tolist())
            found.append(Asked(f"{user}/{genre}", user, genre, time_s, shown, frozenset(liked[genre])))
    return found
