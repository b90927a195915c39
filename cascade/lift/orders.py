"""How probably each item of a page would be looked at, in the order after every stage."""

import numpy as np

from features.columns import Doubles, Flags, Floats, Rows


def examined(scores: Floats, page: Rows, curve: Doubles) -> Doubles:
    """float64[s + 1, n]: θ at the place that the order before any stage, and after each, gives an item.

    A stage orders by falling score; what it did not score (NaN) stands behind, and ties stay in the order of
    the stage before. Of items that nothing told apart so far every order is as likely, so that they share the
    mean θ of their places: before the first stage all items of a page do.

    Args:
        scores: float32[n, s], a column a stage in the cascade's order.
        page: int64[n], rising: the page of each item. No page has more items than the curve has places.
        curve: float64[K]: θ by place.
    """
    alike = np.zeros(len(page), np.int64)
    found = [shared(page, alike, curve)]
    for column in scores.T:
        alike = refined(page, alike, column)
        found.append(shared(page, alike, curve))
    return np.stack(found)


def refined(page: Rows, alike: Rows, column: Floats) -> Rows:
    """int64[n]: groups of items that are still alike after a stage, numbered from the best."""
    order = np.lexsort((alike, -column, page))
    scored = column[order]
    same = (scored[1:] == scored[:-1]) | (np.isnan(scored[1:]) & np.isnan(scored[:-1]))
    fresh = starts(page[order], alike[order])
    fresh[1:] |= ~same
    groups = np.empty(len(page), np.int64)
    groups[order] = np.cumsum(fresh)
    return groups


def shared(page: Rows, alike: Rows, curve: Doubles) -> Doubles:
    """float64[n]: the mean θ of the places that each item's group takes."""
    order = np.lexsort((alike, page))
    place = np.arange(len(page)) - np.searchsorted(page, page)
    first = np.flatnonzero(starts(page, alike[order]))
    sizes = np.diff(np.append(first, len(page)))
    mean = np.add.reduceat(curve[place], first) / sizes if len(page) else np.empty(0)
    out = np.empty(len(page))
    out[order] = np.repeat(mean, sizes)
    return out


def starts(page: Rows, alike: Rows) -> Flags:
    """bool[n]: where another page, or another group, begins."""
    fresh = np.ones(len(page), bool)
    fresh[1:] = (page[1:] != page[:-1]) | (alike[1:] != alike[:-1])
    return fresh
