"""What a click on each shown item is worth to every stage."""

from dataclasses import dataclass

import numpy as np

from cascade.lift.orders import examined
from features.columns import Doubles, Flags, Floats, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """q pages of n items, for s stages.

    Attributes:
        page: int64[n], 0 to q - 1, rising.
        before, after: float64[s, n]: clicks that one click on the item stands for, in the order before the
            stage and after it.
        ran: bool[s, q]: whether the stage scored anything of the page.
    """

    page: Rows
    before: Doubles
    after: Doubles
    ran: Flags


def worth(scores: Floats, page: Rows, curve: Doubles) -> Worth:
    """Of pages whose items stand in `page` in shown order, from the first place down.

    Args:
        scores: float32[n, s]. page: int64[n], 0 to q - 1, rising.
        curve: float64[K] above 0; no page has more than K items.
    """
    place = np.arange(len(page)) - np.searchsorted(page, page)
    weights = examined(scores, page, curve) / curve[place]
    pages = int(page[-1]) + 1 if len(page) else 0
    ran = np.zeros((scores.shape[1], pages), bool)
    item, stage = np.nonzero(~np.isnan(scores))
    ran[stage, page[item]] = True
    return Worth(page, weights[:-1], weights[1:], ran)
