"""What the joined table says of one ranker."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cascade.eventlog.hashing import Hashes
from cascade.eventlog.windows import written
from cascade.events import TYPES
from features.columns import Rows
from training.drift import Drift
from training.events.schema import Pages
from training.lift import LiftReader, is_called
from training.offpolicy.replay import first, who
from training.status.told import Seen, StageLift

LEAST_PAGES = 100
"""Of the version that serves, before the drift of its features is told: chance alone moves fewer."""
KINDS = (*(kind.lower() for kind in TYPES), "other")


@dataclass(slots=True)
class SeenReader:
    """Reads the parts of a log.

    Attributes:
        ranker: its name.
        lift, drift: of the version that serves; None where none does, or it cannot be read.
        fingerprint: of that version's features. `compared`: its pages whose features drift was counted on.
    """

    ranker: str
    lift: LiftReader | None = None
    drift: Drift | None = None
    fingerprint: str = ""
    compared: int = 0
    pages: int = 0
    clicked: int = 0
    clicks: int = 0
    last_us: int = 0
    people: list[Hashes] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)

    def add(self, pages: Pages) -> None:
        """A part."""
        ours = is_called(pages, "ranker", self.ranker)
        if not ours.any():
            return
        chosen = np.flatnonzero(ours)
        rows = np.flatnonzero(ours[pages.page_of_row])
        table = pages.table.take(pa.array(rows))
        self._count(pages, chosen, table)
        clicked = pages.table["clicked"].to_numpy(zero_copy_only=False).astype(bool)[rows]
        self.clicks += int(clicked.sum())
        self.clicked += len(np.unique(pages.page_of_row[rows][clicked]))
        if self.lift:
            self.lift.add(pages)
            self._drift(pages, self.lift.version)

    def _count(self, pages: Pages, chosen: Rows, table: pa.Table) -> None:
        at = pa.array(chosen)
        self.pages += len(chosen)
        self.people.append(np.unique(who(pages)[chosen]))
        self.versions.update(first(pages, "version").take(at).to_pylist())
        self.arms.update(arm for arm in first(pages, "arm").take(at).to_pylist() if arm)
        self.done.update({kind: pc.sum(table[f"n_{kind}"]).as_py() or 0 for kind in KINDS})
        self.last_us = max(self.last_us, pc.max(table["time"].cast(pa.int64())).as_py())

    def _drift(self, pages: Pages, version: str) -> None:
        """The features of the version's own pages, if training kept their profile."""
        if self.drift is None or not self.drift.profiles:
            return
        mine = is_called(pages, "version", version) & is_called(pages, "ranker", self.ranker)
        for logged in pages.features:
            if logged.fingerprint == self.fingerprint:
                page = pages.page_of_row[logged.rows]
                rows = mine[page]
                if rows.any():
                    self.compared += len(np.unique(page[rows]))
                    self.drift.add(logged.names, logged.values[rows])

    def found(self) -> Seen:
        """What it all comes to."""
        told = Seen(
            pages=self.pages,
            versions=dict(self.versions.most_common()),
            arms=dict(self.arms.most_common()),
            people=len(np.unique(np.concatenate(self.people))) if self.people else 0,
            interactions={kind: count for kind, count in self.done.items() if count},
            clicked_pages=self.clicked / max(self.pages, 1),
            clicks_a_page=self.clicks / max(self.pages, 1),
            last_page=written(self.last_us) if self.last_us else "",
            **self._drifted(),
        )
        return with_lifts(told, self.lift) if self.lift and self.pages else told

    def _drifted(self) -> dict[str, Any]:
        """`drift`, or why it cannot be told; neither where training kept no profile."""
        if self.drift is None or not self.drift.profiles:
            return {}
        if self.compared < LEAST_PAGES:
            return {
                "drift_why": f"{self.compared} pages of this version have its features; at least"
                f" {LEAST_PAGES} are needed"
            }
        return {"drift": self.drift.index()}


def with_lifts(seen: Seen, reader: LiftReader) -> Seen:
    """The same with what stages earn."""
    found = reader.found()
    return msgspec.structs.replace(
        seen,
        scored_whole=reader.complete / reader.pages if reader.pages else None,
        examination=tuple(round(each, 4) for each in found.examination),
        examination_source=found.source,
        examination_why=found.why,
        stages=tuple(map(StageLift.of, found.lifts)),
        left_out={why: pages for why, pages in found.left_out.items() if pages},
    )
