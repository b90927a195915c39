"""Events to sessions: which shown item got which interactions. Declared rules, every event accounted for.

The same events give the same table, in whatever order, however often and in whatever batches they arrived,
and however many parts the work is done in: repetitions fall out by their content, ties are broken by content,
and pages come in the order of a hash. Memory is that of one part: some `part_events` events.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cascade.eventlog.hashing import Hashes
from cascade.eventlog.layout import home_of
from features.columns import Rows
from features.errors import NotFound
from training.events.bots import COUNTERS, guilty, spells, suspects
from training.events.compose import compose
from training.events.prepare import Shelf, prepared
from training.events.rules import Counts, Rules, Window
from training.events.schema import Pages
from training.events.shuffle import bits_for, shuffle
from training.progress import Track, quiet

PART_EVENTS = 250_000


@dataclass(slots=True, kw_only=True)
class Join:
    """A join, gone through by `for pages in join`: each time anew, from the log.

    Attributes:
        root, tenant: the event log, and whose part of it.
        window: what of it. `rules`: how. `features`: whether to bring the logged features along.
        part_events: events that are in memory at a time, roughly.
        scratch: a folder for what does not fit in memory; None = the system's.
        counts: what became of the events, once it has been gone through.
    """

    root: Path
    tenant: str
    window: Window = field(default_factory=Window)
    rules: Rules = field(default_factory=Rules)
    features: bool = False
    part_events: int = PART_EVENTS
    scratch: Path | None = None
    track: Track = quiet
    counts: Counts = field(default_factory=Counts)

    def __iter__(self) -> Iterator[Pages]:
        """The joined table in parts of whole pages; parts without a page are left out.

        Raises:
            NotFound: if the tenant has no log.
        """
        home = home_of(self.root, self.tenant)
        if not home.is_dir():
            message = f"no events of tenant {self.tenant!r} under {self.root}; see `sluice log stats`"
            raise NotFound(message, path="tenant")
        with TemporaryDirectory(dir=self.scratch) as folder:
            bits = bits_for(home, self.part_events)
            shelf = Shelf(1 << bits, Path(folder))
            self.counts, counters = self._prepare(home, bits, shelf)
            bots = self._bots(shelf, counters)
            for part in self.track(shelf, "joining", shelf.parts):
                pages, counts = compose(part, self.tenant, self.window, self.rules, bots)
                self.counts = self.counts + counts
                if len(pages):
                    yield pages

    def _prepare(self, home: Path, bits: int, shelf: Shelf) -> tuple[Counts, Rows]:
        """Fill the shelf; what fell out, and the counters that tell where bots may be."""
        counts, counters = Counts(), np.zeros(COUNTERS, np.int64)
        parts = shuffle(home, self.window, self.rules, bits, shelf.scratch, self.features)
        for number, part in enumerate(self.track(parts, "matching", shelf.parts)):
            ready, fell_out = prepared(part)
            shelf.put(number, ready)
            counts = counts + fell_out
            counters += spells(*ready).counters
        return counts, counters

    def _bots(self, shelf: Shelf, counters: Rows) -> Hashes:
        """The person-hours that are too busy, sorted."""
        limit = self.rules.bot_events
        if not (counters > limit).any():
            return guilty([], limit)
        return guilty([suspects(spells(*part), counters, limit) for part in shelf], limit)
