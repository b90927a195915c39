"""Sums of constant size from which lifts and their intervals are read, for one version of one ranker.

Persons are put into bags by a hash: sums of independent persons are independent, so that the spread between
bags gives the interval of a mean over pages that hang together by person.
"""

from dataclasses import dataclass, field

import numpy as np

from cascade.lift.worth import Worth
from features.columns import Doubles, Rows

BAGS = 256


@dataclass(slots=True, eq=False)
class Tally:
    """Sums over pages, by stage (s) and bag (b).

    Attributes:
        stages: the stages' names, in the cascade's order.
        pages: float64[s, b]: pages of which the stage scored something.
        before, after: float64[s, b]: clicks that those on these pages stand for, in the order before the
            stage and after it.
        weight, square: float64[s, 2]: Σ w and Σ w² over shown items, before and after.
        items: float64[s]: shown items of those pages.
        seen: float64[b]: all pages.
    """

    stages: tuple[str, ...]
    pages: Doubles = field(init=False)
    before: Doubles = field(init=False)
    after: Doubles = field(init=False)
    weight: Doubles = field(init=False)
    square: Doubles = field(init=False)
    items: Doubles = field(init=False)
    seen: Doubles = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.stages)
        self.pages, self.before, self.after = (np.zeros((count, BAGS)) for _ in range(3))
        self.weight, self.square = np.zeros((count, 2)), np.zeros((count, 2))
        self.items, self.seen = np.zeros(count), np.zeros(BAGS)

    def show(self, found: Worth, bag: Rows) -> None:
        """Pages that were shown; `bag`: int64[q] of the person of each."""
        self.seen += np.bincount(bag, minlength=BAGS)
        of_item = found.ran[:, found.page]
        self.items += of_item.sum(axis=1)
        for row, ran in enumerate(found.ran):
            self.pages[row] += np.bincount(bag[ran], minlength=BAGS)
        for column, weights in enumerate((found.before, found.after)):
            kept = np.where(of_item, weights, 0.0)
            self.weight[:, column] += kept.sum(axis=1)
            self.square[:, column] += (kept**2).sum(axis=1)

    def click(self, before: Doubles, after: Doubles, bag: int) -> None:
        """A click on an item that is worth so much to each stage (float64[s]; 0 where it did not run)."""
        self.before[:, bag] += before
        self.after[:, bag] += after

    def clicks(self, found: Worth, bag: Rows, clicked: Rows) -> None:
        """The clicked items (int64, rows of `found`), each once."""
        owner = found.page[clicked]
        for row, ran in enumerate(found.ran):
            there = np.where(ran[owner], 1.0, 0.0)
            for sums, weights in ((self.before, found.before), (self.after, found.after)):
                sums[row] += np.bincount(bag[owner], there * weights[row, clicked], BAGS)

    def halve(self) -> None:
        """Count everything so far as half as much: what is recent then weighs more."""
        for sums in (self.pages, self.before, self.after, self.weight, self.square, self.items, self.seen):
            sums *= 0.5
