"""What a person did with an item, as one number by declared weights; what was not seen stays unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from features.columns import Doubles
from features.errors import InvalidConfig
from training.clicks.impressions import Flags, Impressions
from training.clicks.model import FittedClickModel, Pages2d

Unseen = Literal["examination", "below_last_click", "irrelevant"]
WEIGHTS = {"click": 1.0, "save": 2.0, "cart": 3.0, "purchase": 5.0}


@dataclass(frozen=True, slots=True)
class Rules:
    """How interactions become evidence.

    Attributes:
        weights: of each type of interaction; a type that is not named counts nothing.
        dwell: how much one deviation of dwell above the usual adds to a click, or takes off it; 0 = off, as
            nothing was earned by it on judged data.
        unseen: an item without any interaction counts by how probably it was seen ("examination"), not at all
            below the last click ("below_last_click"), or as much as any ("irrelevant").
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    dwell: float = 0.0
    unseen: Unseen = "examination"

    def __post_init__(self) -> None:
        """Refuse weights that are not above 0."""
        for name, weight in self.weights.items():
            if not np.isfinite(weight) or weight <= 0:
                raise InvalidConfig(f"the weight of {name!r} is not above 0", path="$.labels.weights")


def strongest(rules: Rules, done: Mapping[str, Any], dwell: Doubles | None = None) -> Doubles:
    """float64[n], 0 to 1: the largest declared weight of what was done, over the largest there is.

    `done`: type → how often, [n]. The maximum, not the last: a click after a purchase takes nothing away,
    and the order in which events arrive plays no part. `dwell`: deviations above the usual (`dwell.py`),
    NaN where not measured; it moves a lone click between nothing and the next stronger interaction.
    """
    top = max(rules.weights.values())
    size = len(next(iter(done.values()))) if done else 0
    value = np.zeros(size)
    for name, weight in rules.weights.items():
        if name in done:
            value = np.maximum(value, np.where(np.asarray(done[name]) > 0, weight, 0.0))
    click = rules.weights.get("click", 0.0)
    if rules.dwell and dwell is not None and click:
        above = min((weight for weight in rules.weights.values() if weight > click), default=2 * click)
        moved = click * (1 + rules.dwell * np.nan_to_num(dwell))
        value = np.where(value == click, np.clip(moved, 0.05 * click, above), value)
        top = max(top, above)
    return value / top


def seen(rules: Rules, pages: Impressions, model: FittedClickModel | None = None) -> Pages2d:
    """float64[p, K]: how much each impression counts; 1 where it was clicked, 0 where nothing is shown.

    Raises:
        InvalidConfig: for "examination" without a click model.
    """
    if rules.unseen == "irrelevant":
        return pages.shown.astype(np.float64)
    if rules.unseen == "below_last_click":
        return (down_to_last_click(pages)).astype(np.float64)
    if model is None:
        raise InvalidConfig("'examination' needs a click model", path="$.labels.unseen")
    return np.where(pages.shown, model.examined(pages), 0.0)


def down_to_last_click(pages: Impressions) -> Flags:
    """Positions down to the last click; none where nothing was clicked: nobody knows how far they looked."""
    from_below = np.logical_or.accumulate(pages.clicked[:, ::-1], axis=1)[:, ::-1]
    return pages.shown & from_below
