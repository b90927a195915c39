"""Simulated logs as the joined table."""

from datetime import UTC, datetime

import numpy as np

from training.clicks.impressions import joined
from training.clicks.readers import JoinedReader
from training.events.schema import JOINED
from training.simulate.constants import POSITION_BIAS
from training.simulate.log import Behaviour, Ranked, SimulatedLog
from training.simulate.table import joined_table
from training.simulate.users import PositionBasedUsers

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_simulated_table_reads_back_as_the_same_clicks_and_says_what_it_is() -> None:
    """Schema, clicks, positions and dwell are those of the log; source and metadata say simulated."""
    ranked = Ranked(
        np.array([0, 1]),
        np.array([[4, 2, 3], [1, 5, -1]]),
        np.zeros((2, 3)),
        np.array([0.5, 0.5]),
        np.array([0, 0]),
    )
    log = SimulatedLog(ranked, Behaviour(PositionBasedUsers(POSITION_BIAS)), 500, 3)
    table = joined_table(log, START, relevant=np.zeros(6))
    assert table.table.schema.equals(JOINED)
    assert table.table.schema.metadata[b"simulated"] == b"true"
    assert set(table.table["source"].to_pylist()) == {"simulated"}
    clicked = table.table["clicked"].to_numpy(zero_copy_only=False)
    assert (np.isfinite(table.table["dwell_client"].to_numpy()) == clicked).all()
    assert len(set(table.table["request_id"].to_pylist())) == 500
    assert table.table["time"][0].as_py() == START
    reader, pages = JoinedReader(), joined(log())
    read = reader.read(table)
    assert (read.clicked == pages.clicked).all()
    assert (read.shown == pages.shown).all()
    names = reader.documents.find([str(number) for number in range(6)])
    assert (np.where(pages.shown, names[pages.documents], -1) == read.documents).all()
