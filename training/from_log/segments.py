"""How often places are seen on each device, surface or the like: a curve of its own as far as that is sure.

The whole log's curve stands for what all do; a segment's differs from it by the ratio that `ByGroup` finds
between the two, where every document is as attractive in all segments.
"""

from dataclasses import replace

import msgspec
import numpy as np

from features.columns import Doubles, Rows
from features.errors import InvalidInput
from training.clicks.intervals import ByGroup
from training.from_log.examination import LEAST, Examination
from training.from_log.pages import LogPages
from training.from_log.settings import Learning

MOST = 20
"""Segments with a curve of their own, those with the most pages; the rest is one more."""
OTHERS = "(others)"
RESAMPLES = 20


def apart(found: Examination, pages: LogPages, learning: Learning, seed: int) -> Examination:
    """The same with a curve for every segment; declared curves, and logs of one segment, stay as they are."""
    if pages.segment is None or len(pages.segments) < 2 or learning.propensities:
        return found
    shown = pages.impressions()
    width = len(found.propensity)
    resamples = max(learning.resamples, RESAMPLES)
    ratios = ByGroup(len(pages.segments), width).shrunk(shown, resamples=resamples, seed=seed)
    curves: Doubles = np.maximum(found.propensity * ratios, LEAST)
    return replace(found, segments=pages.segments, apart=curves)


def value_of(values: str, name: str) -> str:
    """A named value out of a page's JSON; "" where it is not told."""
    try:
        told = msgspec.json.decode(values or "{}")
    except msgspec.DecodeError:
        return ""
    found = told.get(name) if isinstance(told, dict) else None
    return "" if found is None else str(found)


def frequent(segment: Rows, names: tuple[str, ...], by: str) -> tuple[Rows, tuple[str, ...]]:
    """Segments by their names, sorted; all but the most frequent ones are one.

    Raises:
        InvalidInput: if no page tells the value.
    """
    if by and not any(names):
        raise InvalidInput(
            f"no page of the log has a value named {by!r}; callers send it in query.values", path="$.by"
        )
    pages = np.bincount(segment, minlength=len(names))
    chosen = sorted(np.argsort(-pages, kind="stable")[:MOST].tolist(), key=lambda number: names[number])
    number = np.full(len(names), len(chosen))
    number[chosen] = np.arange(len(chosen))
    kept = tuple(names[one] or "(none)" for one in chosen)
    return number[segment], kept if len(chosen) == len(names) else (*kept, OTHERS)
