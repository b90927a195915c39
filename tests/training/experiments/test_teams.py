"""Who drafted an item: through the log, its Parquet, the join, and importers."""

from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cascade.eventlog.compact import compact
from cascade.eventlog.layout import IMPRESSIONS, home_of
from cascade.eventlog.read import scan
from cascade.eventlog.testing import TENANT, shown, write_segment
from features.errors import InvalidInput
from training.events.importers.shared import impression
from training.events.join import Join

PAGES = [shown("drafted", "a", "b", "c", teams=(-1, 1, 0)), shown("plain", "a", "b")]


def teams(root: Path) -> dict[str, list[int] | None]:
    """Request id → the teams that the log has."""
    rows = chain.from_iterable(table.to_pylist() for table in scan(home_of(root, TENANT), IMPRESSIONS))
    return {row["request_id"]: row["teams"] for row in rows}


def test_teams_survive_compaction(tmp_path: Path) -> None:
    """Segments and Parquet give the same; pages that nobody drafted have none."""
    write_segment(tmp_path, PAGES)
    wanted = {"drafted": [-1, 1, 0], "plain": None}
    assert teams(tmp_path) == wanted
    compact(home_of(tmp_path, TENANT))
    assert teams(tmp_path) == wanted


def test_files_of_before_have_no_teams(tmp_path: Path) -> None:
    """Parquet that was written before there were teams is read as if nothing had been drafted."""
    write_segment(tmp_path, PAGES)
    compact(home_of(tmp_path, TENANT))
    (file,) = home_of(tmp_path, TENANT).glob("impressions/*/*.parquet")
    pq.write_table(pq.read_table(file).drop_columns(["teams"]), file)
    assert teams(tmp_path) == {"drafted": None, "plain": None}


def test_the_join_has_a_team_for_every_item(tmp_path: Path) -> None:
    """-1 where nobody drafted the item, NaN on pages that were not interleaved; broken lists fall out."""
    broken = shown("broken", "a", "b", teams=(1,))
    write_segment(tmp_path, [*PAGES, broken])
    join = Join(root=tmp_path, tenant=TENANT)
    (pages,) = join
    found = zip(
        pages.table["request_id"].to_pylist(),
        pages.table["candidate_id"].to_pylist(),
        pages.table["team"].to_pylist(),
        strict=True,
    )
    made = {(request, item): team for request, item, team in found}
    assert [made["drafted", item] for item in "abc"] == [-1.0, 1.0, 0.0]
    assert np.isnan([made["plain", item] for item in "ab"]).all()
    assert join.counts.broken_pages == 1


def test_imported_pages_may_have_teams() -> None:
    """Records with our names bring them along; what cannot be right is named."""
    record = {"request_id": "r", "candidates": ["a", "b"], "time": 1_790_000_000, "teams": [0, None]}
    assert impression(record, "test").teams == (0, -1)
    for wrong in ([0], [0, -2]):
        with pytest.raises(InvalidInput, match="teams"):
            impression({**record, "teams": wrong}, "test")
