"""Lifts out of events as they come: the last pages are held for their clicks, everything else is sums."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from cascade.events import CLICK, Event, Impression, Interaction
from cascade.lift.facts import Facts, stage_scores
from cascade.lift.tally import BAGS, Tally
from cascade.lift.verdict import Lift, lifts
from cascade.lift.worth import worth
from features.columns import Doubles, Floats, Rows

Key = tuple[str, str, str]
"""Tenant, ranker, version."""
Known = Callable[[Key], Facts | None]
"""What is known of a version; None, or no curve = its lifts cannot be told."""

PAGES = 20_000
MEMORY = 200_000
VERSIONS = 200
UNKNOWN = 10_000
"""Versions of which nothing is known that are not asked about again."""


@dataclass(slots=True, eq=False)
class Counted:
    """A version whose pages are counted; `last` is the number of its last page among all."""

    tally: Tally
    curve: Doubles
    last: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A page that waits for clicks.

    Attributes:
        items: int64[K], hashes of the shown items; 0 once clicked, since each counts once.
        worth: float32[2, s, K]: of a click, before and after each stage; 0 for stages that did not run.
    """

    tally: Tally
    bag: int
    items: Rows
    worth: Floats

    def click(self, item: str) -> None:
        """Somebody clicked an item; what the page does not show, or was clicked before, counts nothing."""
        for place in np.flatnonzero(self.items == hashed(item))[:1].tolist():
            self.items[place] = 0
            before, after = self.worth[:, :, place].astype(np.float64)
            self.tally.click(before, after, self.bag)


@dataclass(slots=True, eq=False)
class Live:
    """Sums for the versions whose pages went by. Not for several threads at a time.

    Attributes:
        known: what is known of a version, asked once.
        pages: held for their clicks; a click on one that has made room is `unmatched`.
        memory: pages of a version beyond which its sums are halved, so that recent ones weigh more.
        versions: that are counted at a time. One more has to wait until another was not among the last
            `pages` pages shown, so that many tenants cannot drive each other out.
    """

    known: Known
    pages: int = PAGES
    memory: int = MEMORY
    versions: int = VERSIONS
    unmatched: int = 0
    _shown: int = 0
    _counted: OrderedDict[Key, Counted] = field(default_factory=OrderedDict)
    _unknown: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    _held: OrderedDict[tuple[str, str], Held] = field(default_factory=OrderedDict)

    def add(self, batches: Iterable[tuple[str, Sequence[Event]]]) -> None:
        """Events of tenants, pages before clicks; a page or a click that comes again changes nothing."""
        shown: dict[Key, dict[str, Impression]] = {}
        clicked: list[tuple[str, Interaction]] = []
        for tenant, events in batches:
            for event in events:
                if isinstance(event, Interaction):
                    clicked.append((tenant, event))
                elif is_own(event) and (tenant, event.request_id) not in self._held:
                    shown.setdefault((tenant, event.ranker, event.version), {})[event.request_id] = event
        for key, pages in shown.items():
            self._show(key, list(pages.values()))
        for tenant, event in clicked:
            self._click(tenant, event)

    def lifts(self) -> list[tuple[Key, tuple[Lift, ...]]]:
        """Of every version that has pages."""
        return [(key, lifts(found.tally)) for key, found in self._counted.items()]

    def _show(self, key: Key, pages: list[Impression]) -> None:
        self._shown += len(pages)
        counted = self._counted.get(key) or self._admitted(key)
        if counted is None:
            return
        counted.last = self._shown
        self._counted.move_to_end(key)
        tally, curve = counted.tally, counted.curve
        scores = [scores_of(page, tally.stages, len(curve)) for page in pages]
        sizes = [len(part) for part in scores]
        made = worth(np.concatenate(scores), np.repeat(np.arange(len(pages)), sizes), curve)
        bags = [crc32(person(page).encode()) % BAGS for page in pages]
        tally.show(made, np.array(bags))
        both = (np.stack([made.before, made.after]) * made.ran[:, made.page]).astype(np.float32)
        ends = np.cumsum(sizes).tolist()
        for page, bag, size, end in zip(pages, bags, sizes, ends, strict=True):
            items = np.fromiter(map(hashed, page.candidates[:size]), np.int64, size)
            worth_of_page = both[:, :, end - size : end].copy()
            self._held[(key[0], page.request_id)] = Held(tally, bag, items, worth_of_page)
        make_room(self._held, self.pages)
        if tally.seen.sum() > self.memory:
            tally.halve()

    def _admitted(self, key: Key) -> Counted | None:
        """A version that is counted from now on; None where nothing is known of it, or there is no room."""
        if key in self._unknown or not self._has_room():
            return None
        facts = self.known(key)
        if facts is None or facts.curve is None:
            self._unknown[key] = None
            make_room(self._unknown, UNKNOWN)
            return None
        self._counted[key] = Counted(Tally(facts.stages), facts.curve)
        return self._counted[key]

    def _has_room(self) -> bool:
        if len(self._counted) < self.versions:
            return True
        key, oldest = next(iter(self._counted.items()))
        if self._shown - oldest.last <= self.pages:
            return False
        del self._counted[key]
        return True

    def _click(self, tenant: str, event: Interaction) -> None:
        if event.type != CLICK:
            return
        held = self._held.get((tenant, event.request_id))
        if held is None:
            self.unmatched += 1
        else:
            held.click(event.candidate_id)


def hashed(item: str) -> int:
    """Of an item's id, never 0; good for as long as the process lives."""
    return hash(item) or 1


def make_room(held: OrderedDict, most: int) -> None:  # type: ignore[type-arg]
    """Let the oldest go."""
    while len(held) > most:
        held.popitem(last=False)


def is_own(page: Impression) -> bool:
    """Whether the service itself logged a page whole, with its stages' scores.

    What callers send of their own accord is not counted here, and so names no label of a metric.
    """
    whole = not page.positions or page.positions == tuple(range(1, len(page.candidates) + 1))
    return page.source == "server" and bool(page.features) and whole


def scores_of(page: Impression, stages: tuple[str, ...], depth: int) -> Floats:
    """float32[k, s]: stages' scores of the first `depth` shown items."""
    values = np.frombuffer(page.features, "<f4").reshape(-1, len(page.names))[:depth]
    return stage_scores(values, page.names, stages)


def person(page: Impression) -> str:
    """Whose page it is: the user's, or the session's, or nobody else's."""
    return page.user or page.session or page.request_id
