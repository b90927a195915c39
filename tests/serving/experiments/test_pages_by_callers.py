"""A caller that logs interleaved pages by itself: what the answer told goes back, and is checked."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cascade.eventlog.layout import IMPRESSIONS
from cascade.eventlog.read import scan
from cascade.experiments.declared import Experiment
from serving.settings import Settings
from serving.testing import ByColumn, Shelf, ranker, running, target
from sluice import Client, Impression

ITEMS: Any = [{"id": str(row), "price": float(row), "stock": float(-row)} for row in range(4)]


def test_an_answer_is_sent_back_as_it_was_shown(tmp_path: Path, ask: Callable[..., Any]) -> None:
    """Arm and teams of the answer come out of the log as sent; lists of another length are rejected."""
    shelf = Shelf({"default": [ranker(version="old"), ranker(ByColumn("stock"), version="new")]})
    shelf.running["default"] = Experiment(
        name="test", kind="interleave", arms=("old", "new"), shares=(0.0, 1.0), seed=1, started="2026-11-20"
    )
    made = Settings(port=0, poll_s=60.0, log=str(tmp_path))
    with (
        running(shelf, made, background=lambda work: work()) as server,
        Client(target(server), "demo") as client,
    ):
        answer = client.rank("q", ITEMS, log=False, timeout_s=20)
        shown = {"request_id": answer.request_id, "arm": answer.arm}
        page = Impression(**shown, candidates=answer.ids[:2], teams=answer.teams[:2])
        wrong = [
            Impression(request_id="r", candidates=answer.ids, teams=answer.teams[:2]),
            Impression(request_id="r", candidates=answer.ids, teams=[-2, 0, 0, 0]),
        ]
        told = client.record([page, *wrong], timeout_s=20)
    assert (answer.version, answer.arm) == ("old", "test/interleaved")
    assert sorted(answer.teams) == [0, 0, 1, 1]
    assert [one.path for one in told.rejected] == ["impressions[1].teams", "impressions[2].teams"]
    (row,) = chain.from_iterable(table.to_pylist() for table in scan(tmp_path / "demo", IMPRESSIONS))
    assert (row["arm"], row["teams"]) == ("test/interleaved", list(answer.teams[:2]))


@pytest.mark.parametrize("kind", ["canary", "shadow"])
def test_other_answers_have_no_teams(kind: Any) -> None:
    """Only drafted pages have teams; a shadow's answers have no arm either."""
    shelf = Shelf({"default": [ranker(version="old"), ranker(version="new")]})
    shelf.running["default"] = Experiment(
        name="test", kind=kind, arms=("old", "new"), shares=(0.5, 0.5), seed=1, started="2026-11-20"
    )
    with running(shelf, background=lambda work: work()) as server, Client(target(server), "demo") as client:
        answer = client.rank("q", [{"id": "a", "price": 1.0}], timeout_s=20)
    assert answer.teams == ()
    assert bool(answer.arm) == (kind == "canary")
