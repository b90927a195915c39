"""What goes into the next micro-batch: planning alone, without threads, clocks or models.

Requests wait with pairs of different padded widths. A micro-batch holds pairs of one width, so that a pair's
arithmetic does not depend on its company.

- *Whose turn it is.* Tenants share by weight (`features/fairness.py`); all that follows is within one tenant.
- *Who is next.* The request that was served least, in levels of doubling size, so that ten short pairs never
  stand behind a thousand long ones; within a level the earliest deadline. Whoever has not been served for
  `PATIENCE` cells is next, so that nobody starves.
- *Which of its pairs.* The first that waits, and more of the same width from the `ahead` next ones: what is
  done when time runs out is the best part of the request.
- *Who joins.* Pairs of other requests, as long as the batch is too small to be worth a run.
- *Who overtakes.* Between two parts of a batch, a request of a lower level than it was taken at, unless its
  tenant would have to wait for theirs. What overtakes is not overtaken, and nobody is put off for more than
  `PATIENCE` cells.

Levels of doubling quanta: Corbató, Daggett and Daley 1962, "An Experimental Time-Sharing System".
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from features.fairness import ALONE, Share, Turns

QUANTUM = 1_024
"""Cells of the first level; the next ones are twice, four times … as wide."""
PATIENCE = 4_096
"""Cells that may be run for others before a request that waits is served again."""
WORTH_A_RUN = 96
"""Cells from which on a micro-batch loses less than about a tenth to the cost of a run."""
TENANT_PATIENCE = 8 * PATIENCE
"""Cells that may be run for tenants of higher classes before one that waits is served again."""
SLICE_S = 0.012
"""Seconds that a micro-batch should take where somebody waits for an answer; one pair may take longer."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A request's pairs that wait, by padded width.

    Attributes:
        arrival: its place among the requests.
        due: its deadline on everybody's clock.
        budget: cells (pairs × padded width) that one micro-batch may take of it.
        ahead: how far behind the first waiting pair another may stand that goes with it.
        served: cells taken so far.
        since: cells that the scheduler had run when it was last served, or when it came.
        cells: that wait.
        share: whose it is.
    """

    arrival: int = 0
    due: float = inf
    budget: int = 512
    ahead: int = 64
    served: int = 0
    since: int = 0
    cells: int = 0
    count: int = 0
    lanes: dict[int, deque[int]] = field(default_factory=dict)
    share: Share = ALONE

    def add(self, position: int, width: int) -> None:
        """One more pair, behind the others of its request."""
        self.lanes.setdefault(width, deque()).append(position)
        self.cells += width
        self.count += 1

    @property
    def first(self) -> tuple[int, int]:
        """Position and width of the first pair that waits; there must be one."""
        return min((lane[0], width) for width, lane in self.lanes.items())

    @property
    def level(self) -> int:
        """How much it was served: 0 below one quantum, 1 below three, 2 below seven …"""
        return (self.served // QUANTUM + 1).bit_length() - 1

    def take(self, width: int, most: int, spent: int) -> list[int]:
        """Up to `most` pairs of that width from among the next `ahead`, which wait no longer."""
        lane = self.lanes.get(width)
        if not lane or most <= 0:
            return []
        end = self.first[0] + self.ahead
        taken: list[int] = []
        while lane and len(taken) < most and lane[0] < end:
            taken.append(lane.popleft())
        if not lane:
            del self.lanes[width]
        self.count -= len(taken)
        self.cells -= width * len(taken)
        self.served += width * len(taken)
        self.since = spent if taken else self.since
        return taken

    def clear(self) -> None:
        """Nothing waits any more."""
        self.lanes.clear()
        self.cells = self.count = 0


Part = tuple[Waiting, list[int]]
"""Of a micro-batch: a request, and the positions of its pairs."""


def turns() -> Turns:
    """Tenants that had nothing yet."""
    return Turns(TENANT_PATIENCE)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What planning has to know beside the requests.

    Attributes:
        workers: that run micro-batches.
        spent: cells that were run so far.
        pace: seconds that a cell takes a worker, as measured; 0 where that is not known yet.
        turns: what every tenant had; planning keeps it up to date.
    """

    workers: int = 1
    spent: int = 0
    pace: float = 0.0
    turns: Turns = field(default_factory=turns)


def next_batch(requests: Sequence[Waiting], now: Circumstances) -> list[Part]:
    """Take the next micro-batch out of the queues: the positions of every request that has a part in it.

    Every request has to have a pair that waits.
    """
    order = in_order(requests, now)
    _, width = order[0].first
    own = max(1, room(order, now) // width)
    parts: list[Part] = [(order[0], order[0].take(width, own, now.spent))]
    free = WORTH_A_RUN // width - len(parts[0][1])
    for request in order[1:]:
        if taken := request.take(width, free, now.spent):
            parts.append((request, taken))
            free -= len(taken)
    now.turns.begin(order[0].share)
    for request, taken in parts:
        now.turns.charge(request.share, width * len(taken))
    return parts


def overtakes(requests: Sequence[Waiting], level: int, shares: Iterable[Share], now: Circumstances) -> bool:
    """Whether who is next goes before what is being run and could be put off.

    Args:
        requests: that wait.
        level: what those of the batch that is being run had before it, the least.
        shares: whose it is.
        now: of the moment.
    """
    if not requests:
        return False
    first = in_order(requests, now)[0]
    rank = now.turns.rank(first.share, first.since)
    before = (share == first.share or rank <= now.turns.rank(share, now.spent) for share in shares)
    return first.level < level and all(before)


def in_order(requests: Sequence[Waiting], now: Circumstances) -> list[Waiting]:
    """Who is next, then who may join."""
    ranks = ranked(requests, now.turns)
    turn = min(ranks, key=ranks.__getitem__)
    starving = [one for one in requests if one.share == turn and now.spent - one.since >= PATIENCE]
    first = min(starving, key=lambda one: (one.since, one.arrival)) if starving else None
    return sorted(
        requests, key=lambda one: (one is not first, ranks[one.share], one.level, one.due, one.arrival)
    )


def ranked(requests: Sequence[Waiting], turns: Turns) -> dict[Share, tuple[int, float]]:
    """The rank of every tenant that waits; it waits as long as the first of its requests."""
    since: dict[Share, int] = {}
    for one in requests:
        since[one.share] = min(one.since, since.get(one.share, one.since))
    return {share: turns.rank(share, waiting) for share, waiting in since.items()}


def room(order: Sequence[Waiting], now: Circumstances) -> int:
    """Cells of the next batch: a worker's part of what the request has, in even slices where somebody waits
    for an answer; at most its budget."""
    part = -(-order[0].cells // now.workers)
    hurried = now.pace > 0 and any(one.due < inf for one in order)
    slices = max(1, round(part * now.pace / SLICE_S)) if hurried else 1
    return min(order[0].budget, max(-(-part // slices), WORTH_A_RUN))
