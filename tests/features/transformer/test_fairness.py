"""Two clients at once, in simulated time: what a short request waits for beside a long one.

Micro-batches cost what they were measured to cost on the embedded model (six layers, 384 wide), two cores:
a millisecond and .06 a cell. `python -m benchmarks two_clients` measures the same on the machine at hand.
"""

from heapq import heapify, heappop, heappush

import numpy as np
import pytest

from features.transformer.planning import Circumstances, Waiting, next_batch

RUN_S, PACE_S = 1e-3, 60e-6
SHORT, LONG = 32, 256


def request(arrival: int, width: int, count: int, due: float) -> Waiting:
    """A request with pairs of one width."""
    made = Waiting(arrival, due)
    for position in range(count):
        made.add(position, width)
    return made


def latency(begins: float, others: list[Waiting], short: Waiting, workers: int = 1) -> float:
    """Seconds until the last pair of a request that comes at `begins` has been run, beside others."""
    free, spent, ended = [(0.0, worker) for worker in range(workers)], 0, 0.0
    heapify(free)
    waiting = list(others)
    while short.count or short not in waiting:
        now, worker = heappop(free)
        if now >= begins and short not in waiting:
            short.since = spent
            waiting.append(short)
        if not any(one.count for one in waiting):
            heappush(free, (begins, worker))
            continue
        shares = next_batch([one for one in waiting if one.count], Circumstances(workers, spent, PACE_S))
        cells = sum(len(positions) * (SHORT if one is short else LONG) for one, positions in shares)
        spent += cells
        end = now + RUN_S + PACE_S * cells
        heappush(free, (end, worker))
        ended = max(ended, end if shares[0][0] is short else 0.0)
    return ended - begins


@pytest.mark.parametrize("due", [1.0, 3.0])
def test_ten_short_candidates_beside_a_thousand_long_ones(due: float) -> None:
    """Whenever they come, their latency stays within twice their latency alone; with the earlier deadline and
    with the later one."""
    alone = latency(0.0, [], request(1, SHORT, 10, due))
    moments = np.random.default_rng(0).uniform(0.2, 3.0, 60)
    beside = [
        latency(moment, [request(0, LONG, 1000, 2.0)], request(1, SHORT, 10, due)) for moment in moments
    ]
    assert alone < 0.025
    assert max(beside) < 2 * alone
    assert np.median(beside) < 1.5 * alone
