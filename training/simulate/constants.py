"""What people did in real logs, as the constants of simulated ones. Nobody's data: a few fitted numbers.

`ATTRACTION` and `DWELL`: TREC Session Track 2013, half of its topics, 217 result pages with 347 clicks and
graded judgments (see `python -m benchmarks dwell`). `POSITION_BIAS`: 35,064 real result pages of Yandex's
relevance prediction challenge, 20 queries, the position-based model fitted by EM (`python -m benchmarks
click_models`).
"""

import numpy as np

ATTRACTION = (0.22, 0.64)
"""P(click) at the first position, which nearly everybody looks at: not relevant (176 pages), relevant (36)."""

DWELL = ((2.91, 1.20), (2.97, 1.12))
"""Mean and deviation of ln seconds on a clicked document: not relevant, relevant. Almost the same: in this
log dwell says nearly nothing of relevance."""

POSITION_BIAS = np.array([1.0, 0.687, 0.568, 0.470, 0.353, 0.304, 0.281, 0.224, 0.237, 0.218])
"""P(examined) by position, the first one 1. Simulated users look at the first position always."""

TRUST = 0.35 * 0.6 ** np.arange(10)
"""A chosen figure, not a fitted one: the share of those who click the first result because it is first."""
