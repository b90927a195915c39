"""A request in the queue of a scheduler: its pairs, what has come of them, and how long they waited."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from threading import Condition
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from features.columns import Rows
from features.errors import NotReady
from features.fairness import Share
from features.transformer.packed import Pair, width
from features.transformer.planning import Waiting
from features.transformer.session import Pause

Values = NDArray[Any]
Infer = Callable[[Sequence[Pair], Pause], Values]
"""Runs a micro-batch: values with a row a pair, `[b]` or `[b, d]`. It may call the pause in between."""

GIVE_UP = 8
"""Pairs of a request that may fail before anything of it has succeeded; more is a failure of the model."""


class Limit(Protocol):
    """How long a request may take: `cascade.deadline.Deadline` is one."""

    @property
    def at(self) -> float:
        """The deadline, on a clock that the requests share; infinite without one."""
        ...

    @property
    def left_s(self) -> float:
        """Seconds left."""
        ...

    @property
    def expired(self) -> bool:
        """Whether nobody waits for it any more: the time is up, or the caller has gone."""
        ...

    @property
    def aside(self) -> Callable[[], AbstractContextManager[object]]:
        """What is entered while the request only waits, so that others may compute."""
        ...

    @property
    def share(self) -> Share:
        """Whose request it is, for the fair use of a model by many tenants."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """What came of a request.

    Attributes:
        positions: int64[m]: the pairs that have a value, counted over all windows, ascending.
        values: [m, ...]: theirs; the shape of a row is the model's.
        failed: position → why the model failed on that pair.
        late: the request was over before every pair had been run.
        tokens: that the model read for it.
        queue_s: seconds in which pairs of it waited and none was run.
    """

    positions: Rows
    values: Values
    failed: dict[int, Exception]
    late: bool
    tokens: int
    queue_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Of one micro-batch: a row of `values` a pair, but for the rows that `failed` names."""

    values: Values
    failed: dict[int, Exception]


class Abandoned(Exception):
    """Nobody waits any more for the micro-batch that is being run."""


def attempt(infer: Infer, pairs: Sequence[Pair], pause: Pause) -> Outcome:
    """Run a micro-batch; where it fails, every pair of it alone, so that the error goes to its cause.

    Raises:
        Abandoned: by the pause.
    """
    try:
        return Outcome(checked(infer(pairs, pause), len(pairs)), {})
    except Abandoned:
        raise
    except Exception as error:
        if len(pairs) == 1:
            return Outcome(np.zeros(1, np.float32), {0: error})
    alone = [attempt(infer, [pair], pause) for pair in pairs]
    failed = {row: one.failed[0] for row, one in enumerate(alone) if one.failed}
    like = next((one.values for one in alone if not one.failed), alone[0].values)
    blank = np.zeros_like(like)
    return Outcome(np.concatenate([blank if one.failed else one.values for one in alone]), failed)


def checked(values: Values, count: int) -> Values:
    """The model's values, a row a pair."""
    if len(values) != count:
        raise NotReady(f"the model gave {len(values)} rows for {count} pairs")
    return values


class Ticket:
    """A request in the queue. Everything in it is guarded by the queue's lock, which `changed` shares."""

    def __init__(self, waiting: Waiting, limit: Limit, changed: Condition) -> None:
        self.waiting, self.limit, self.changed = waiting, limit, changed
        self.pairs: dict[int, Pair] = {}
        self.positions: list[int] = []
        self.values: list[Values] = []
        self.failed: dict[int, Exception] = {}
        self.error: Exception | None = None
        self.over = False
        self.running = self.later = self.tokens = self.seen = 0
        self.queue_s, self.since = 0.0, inf

    @property
    def finished(self) -> bool:
        """Whether every pair that came has been run."""
        return len(self.positions) + len(self.failed) == self.seen

    def add(self, pairs: Sequence[Pair]) -> None:
        """More pairs, behind the others."""
        for position, pair in enumerate(pairs, self.seen):
            self.pairs[position] = pair
            self.waiting.add(position, width(len(pair)))
        self.seen += len(pairs)

    def begin(self, positions: Sequence[int], now: float) -> list[Pair]:
        """Pairs that planning took out of `waiting` and that are run from now on."""
        self.running += 1
        self.note(now)
        return [self.pairs.pop(position) for position in positions]

    def put_off(self, now: float) -> None:
        """Pairs of it that were being run wait again, for others."""
        self.running, self.later = self.running - 1, self.later + 1
        self.note(now)

    def go_on(self, now: float) -> None:
        """They are run on."""
        self.running, self.later = self.running + 1, self.later - 1
        self.note(now)

    def deliver(self, positions: Sequence[int], pairs: Sequence[Pair], outcome: Outcome, now: float) -> None:
        """What came of them; the rows of `outcome` are theirs."""
        self.running -= 1
        self.tokens += sum(len(pair) for pair in pairs)
        good = [row for row in range(len(positions)) if row not in outcome.failed]
        if good:
            self.positions += [positions[row] for row in good]
            self.values.append(outcome.values[good])
        self.failed |= {positions[row]: error for row, error in outcome.failed.items()}
        if len(self.failed) >= GIVE_UP and not self.values:
            self.stop(next(iter(self.failed.values())))
        self.note(now)
        self.changed.notify_all()

    def stop(self, error: Exception | None = None) -> None:
        """Nothing more of it is run."""
        self.over, self.error = True, self.error or error
        self.waiting.clear()
        self.pairs.clear()
        self.changed.notify_all()

    def note(self, now: float) -> None:
        """Keep the time in which pairs wait and none is run."""
        queued = self.waiting.count + self.later > 0 and self.running == 0
        if queued and self.since == inf:
            self.since = now
        if not queued and self.since < inf:
            self.queue_s += now - self.since
            self.since = inf

    def done(self, late: bool) -> Done:
        """What came of it.

        Raises:
            Exception: the model's, where nothing but errors came, or the scheduler's.
        """
        error = self.error or (next(iter(self.failed.values())) if self.failed and not self.values else None)
        if error:
            raise error
        positions = np.array(self.positions, np.int64)
        order = np.argsort(positions)
        values = np.concatenate(self.values)[order] if self.values else np.empty(0, np.float32)
        return Done(positions[order], values, dict(self.failed), late, self.tokens, self.queue_s)
