"""θ: how probably people look at each place of a page, the first one 1."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from features.columns import Doubles
from features.errors import InvalidConfig

KEY = "examination"
"""Key of `Manifest.data`: a list of numbers, θ by place, as training found it in a log."""
DEEPEST = 10
"""Places of a page that lifts are about."""


def checked(values: Sequence[float], path: str) -> Doubles:
    """float64[K]: at most `DEEPEST` places, over the first one's.

    Raises:
        InvalidConfig: unless there are two places or more, each above 0 and finite.
    """
    curve = np.asarray(values, np.float64)
    if curve.ndim != 1 or len(curve) < 2 or not np.isfinite(curve).all() or not (curve > 0).all():
        raise InvalidConfig("must be two numbers or more, each above 0: how often a place is seen", path=path)
    shown: Doubles = (curve / curve[0])[:DEEPEST]
    return shown


def curve_of(data: Mapping[str, Any]) -> Doubles | None:
    """What a manifest tells; None where it tells nothing of use."""
    try:
        return checked(data.get(KEY, ()), KEY)
    except (InvalidConfig, TypeError, ValueError):
        return None
