"""Stand-ins for tests of profiles: logs of made-up behaviour, and the columns that a ranker may want of
them."""

import io
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Thread

import numpy as np

from cascade.eventlog.arrivals import Arrived
from cascade.eventlog.testing import START_S, done, shown
from cascade.events import MICROS, TYPES, Event, Impression
from cascade.profiles.context import context_of
from cascade.profiles.join import Wanted
from features import columns
from features.batch import CandidateBatch, Query, single
from features.behaviour import COSINE, OWNERS, Statistic
from features.columns import Input, Kind

START_US = START_S * MICROS
GENRES = ("Crime", "Drama", "Comedy", "Horror")

EVERY = (
    Statistic("tenant", "click", "long"),
    Statistic("tenant", "impression", "recent"),
    Statistic("item", "click", "long"),
    Statistic("item", "engagement", "recent"),
    *(Statistic(owner, "dwell", "long") for owner in OWNERS),
    *(Statistic(f"{owner}_item", "impression", "recent") for owner in OWNERS),
    *(Statistic(f"{owner}_item", "purchase", "long") for owner in OWNERS),
    *(Statistic(f"{owner}_field", "click", "long", "genres") for owner in OWNERS),
    Statistic("user_vector", COSINE, "recent", "embedding"),
    Statistic("user_vector", COSINE, "long", "embedding"),
    Statistic("session_vector", COSINE, "long", "embedding"),
)
"""A statistic of every scope."""
WANTED = Wanted(EVERY)
INPUTS = (
    Input("genres", Kind.KEYWORD),
    Input("embedding", Kind.VECTOR),
    *(Input(one.column, Kind.NUMBER) for one in EVERY),
)


def candidates(ids: Sequence[str], query: Query) -> CandidateBatch:
    """A batch of items, whose genres and vectors follow from their ids."""
    rows = [Random(item) for item in ids]  # noqa: S311 (test data)
    genres = [random.sample(GENRES, random.randint(0, 2)) for random in rows]
    vectors = np.array([[random.gauss(0, 1) for _ in range(4)] for random in rows], np.float32)
    vectors = vectors.reshape(len(ids), 4)
    vectors[[random.random() < 0.2 for random in rows]] = np.nan
    made = {"genres": columns.keyword(genres), "embedding": columns.vector(vectors)}
    return single(query, list(ids), made)


def behaviour(pages: int, seed: int) -> list[Event]:
    """A log of pages and of what some people did with them: late, early, twice, skewed, and nonsense too."""
    random = Random(seed)  # noqa: S311 (test data)
    events: list[Event] = []
    for page in range(pages):
        at_s = page * random.choice((1.0, 600.0, 40_000.0))
        request_id = f"r{page}"
        impression = page_at(request_id, at_s, random)
        events.append(impression)
        for number in range(random.randint(0, 3)):
            delay = random.choice((-400.0, -20.0, 5.0, 300.0, 100_000.0))
            item = random.choice((*impression.candidates, "nothing"))
            fields = {
                "type": random.choice((*TYPES, "share")),
                "dwell_s": random.choice((None, 0.0, 30.0, 1e9)),
            }
            one = done(f"e{number}", request_id, item, at_s + delay, **fields)
            events += [one] * random.choice((1, 1, 2))
    return shuffled_a_little(events, random)


def page_at(request_id: str, at_s: float, random: Random) -> Impression:
    """A page with its context, as a server logs it."""
    ids = random.sample([f"i{number}" for number in range(12)], 4)
    batch = candidates(ids, Query(""))
    return shown(
        request_id,
        *ids,
        at_s=at_s,
        user=random.choice(("", "ann", "bob")),
        session=random.choice(("", "s1", "s2")),
        query=random.choice(("", "a film", " A  Film")),
        context=context_of(batch, np.arange(len(ids)), INPUTS),
    )


def shuffled_a_little(events: list[Event], random: Random) -> list[Event]:
    """Events a few places from where they belong, as they arrive."""
    keys = [place + random.uniform(0, 4) for place in range(len(events))]
    return [events[at] for at in np.argsort(keys).tolist()]


def arrived(events: Sequence[Event], first: int = START_US) -> Iterator[Arrived]:
    """Events with their numbers."""
    return (Arrived(first + at, event) for at, event in enumerate(events))


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis in a process of its own, without persistence."""

    url: str
    child: "subprocess.Popen[bytes]"


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Start `redis-server` on a socket in a folder, and wait until it answers.

    Raises:
        RuntimeError: if it ends before.
    """
    socket_path = folder / "redis.sock"
    command = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        str(socket_path),
        "--save",
        "",
        "--daemonize",
        "no",
    ]
    with subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.PIPE) as child:  # noqa: S603
        for line in child.stdout or ():
            if b"eady to accept" in line:
                break
        else:
            raise RuntimeError(f"redis-server ended with {child.wait()}")
        Thread(target=(child.stdout or io.BytesIO()).read, daemon=True).start()
        try:
            yield RedisServer(f"unix://{socket_path}", child)
        finally:
            child.kill()
