"""Training from a collection and a log sees the behaviour that serving would have seen."""

from pathlib import Path

import numpy as np
import pytest

from cascade.eventlog.testing import START_S, TENANT, done, shown, writing
from cascade.profiles.follow import agree
from cascade.profiles.lmdb_store import LmdbProfiles
from cascade.profiles.rules import Rules
from features.batch import CandidateBatch, Query
from features.columns import Input, Kind, keyword
from features.errors import NotFound
from training.behaviour import LoggedBehaviour

CLICKS, AGAIN = "behaviour.item.click.long", "behaviour.user_item.click.long"
INPUTS = (Input("genres", Kind.KEYWORD), Input(CLICKS, Kind.NUMBER), Input(AGAIN, Kind.NUMBER))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two pages, the second an hour after the first, with a click each as soon as they were shown."""
    for number, at_s in enumerate((0.0, 3_600.0)):
        with writing(tmp_path / "log", prefix=f"w{number}") as writer:
            writer._clock = lambda at_s=at_s: START_S + at_s
            events = [
                shown(f"r{number}", "a", "b", at_s=at_s, user="ann"),
                done("e", f"r{number}", "a", at_s=at_s),
            ]
            writer.append(TENANT, events).durable.result(10)
    return tmp_path / "log"


def asked(*queries: Query) -> CandidateBatch:
    """Two candidates for each query."""
    n = len(queries)
    columns = {"genres": keyword([["crime"], []] * n)}
    return CandidateBatch(queries, ["a", "b"] * n, np.arange(n + 1) * 2, columns)


def test_a_query_sees_what_had_arrived_by_its_moment(log: Path) -> None:
    """Before both pages, between them, behind them, and, where it names no moment, at the log's end."""
    moments = (7_200.0, -10.0, 60.0)
    queries = [Query("x", {"now": START_S + moment, "user.id": "ann"}) for moment in moments]
    batch = asked(*queries, Query("x", {"user.id": "eve"}), Query("x"))
    made = LoggedBehaviour.of(log, TENANT).joined(batch, INPUTS)
    assert made.columns[CLICKS].values[::2] == pytest.approx([2, 0, 1, 2, 2], abs=0.01)
    assert made.columns[CLICKS].values[1::2].tolist() == [0.0] * 5
    assert made.columns[AGAIN].values[::2] == pytest.approx([2, 0, 1, 0, np.nan], abs=0.01, nan_ok=True)
    assert made.columns["genres"] is batch.columns["genres"]
    assert [query.values for query in made.queries] == [query.values for query in batch.queries]


def test_nothing_is_read_where_nothing_is_wanted(tmp_path: Path) -> None:
    """A cascade without behaviour does not look at the log."""
    batch = asked(Query("x"))
    known = LoggedBehaviour(tmp_path / "nowhere", TENANT, Rules())
    assert known.joined(batch, INPUTS[:1]) is batch


def test_the_rules_are_those_of_the_profiles(log: Path) -> None:
    """What stands beside the log says how serving counts; without it the default holds."""
    assert LoggedBehaviour.of(log, TENANT).rules == Rules()
    store, rules = LmdbProfiles(log.with_name("log-profiles"), 1 << 26), Rules(long_days=3.0)
    agree(store, TENANT, rules)
    store.close()
    assert LoggedBehaviour.of(log, TENANT).rules == rules


def test_a_tenant_without_a_log_is_refused(log: Path) -> None:
    """With the option to mend."""
    with pytest.raises(NotFound, match="--log"):
        LoggedBehaviour.of(log, "other")
