"""What people did in real logs, as the constants of simulated ones. Nobody's data: a few fitted numbers.

`ATTRACTION` and `DWELL`: TREC Session Track 2013, half of its topics, 217 result pages with 347 clicks and
graded judgments (see `python -m benchmarks dwell`). `POSITION_BIAS`: 35,064 real result pages of Yandex's
relevance prediction challenge, 20 queries, the position-based model fitted by EM (`python -m benchmarks
click_models`).
"""

import numpy as np

ATTRACTION = (0.22, 0.64)
"""P(click) at the first position, where nearly all look: not relevant (176 pages), relevant (36)."""

DWELL = ((2.91, 1.20), (2.97, 1.12))
"""Mean and deviation of ln seconds on a clicked document: not relevant, relevant. Almost the same: in this
log dwell says nearly nothing of relevance."""

POSITION_BIAS = np.array([1.0, 0.739, 0.613, 0.513, 0.387, 0.340, 0.318, 0.258, 0.270, 0.254])
"""P(examined) by position, the first one 1: simulated users always look there."""

TRUST = np.array([0.35, 0.21, 0.126, 0.076, 0.045, 0.027, 0.016, 0.01, 0.006, 0.004])
"""A chosen figure, not a fitted one: the share of those who click the first result because it is first."""

BROWSING = np.array(
    [
        [1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0.612, 0.892, 0, 0, 0, 0, 0, 0, 0, 0],
        [0.505, 0.380, 0.876, 0, 0, 0, 0, 0, 0, 0],
        [0.432, 0.218, 0.420, 0.832, 0, 0, 0, 0, 0, 0],
        [0.262, 0.158, 0.260, 0.395, 0.768, 0, 0, 0, 0, 0],
        [0.165, 0.108, 0.149, 0.283, 0.469, 0.908, 0, 0, 0, 0],
        [0.144, 0.077, 0.131, 0.204, 0.310, 0.522, 1.0, 0, 0, 0],
        [0.097, 0.045, 0.082, 0.123, 0.187, 0.310, 0.557, 1.0, 0, 0],
        [0.099, 0.045, 0.064, 0.088, 0.173, 0.276, 0.432, 0.670, 1.0, 0],
        [0.075, 0.040, 0.050, 0.086, 0.106, 0.182, 0.339, 0.439, 0.714, 1.0],
    ]
)
"""P(examined) by position (rows) and last click above it (columns, 0 = none), over that of the first
position: the user browsing model fitted by EM to the same pages as `POSITION_BIAS`; the best of all models
there."""
