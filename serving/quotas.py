"""Quotas: a token bucket a tenant, in units (a candidate that is ranked, or a token that a model reads).

A request is charged what it will cost by an estimate, and the difference once it is known. One that costs
more than the burst is let in when the bucket is full, and the debt holds up the next.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from cascade.pipeline import Step
from cascade.ranking import Ranking
from cascade.tenants import Quota
from features.errors import Exhausted
from serving.register import Register
from sluice.v1 import ranking_pb2 as pb

CLOSED_S = 60.0
"""When to come back to a quota of nothing: somebody may have changed it."""
FORGETFUL = 10_000
"""Buckets beyond which the full ones are forgotten."""


@dataclass(slots=True)
class Bucket:
    """What a tenant may spend: `level` units at the moment `at`; below 0 = a debt."""

    level: float
    at: float

    def take(self, quota: Quota, cost: float, now: float) -> float:
        """Spend `cost` and return 0, or return the seconds until it may be spent."""
        self.fill(quota, now)
        missing = min(cost, quota.burst) - self.level
        if missing > 0:
            return missing / quota.rate
        self.level -= cost
        return 0.0

    def fill(self, quota: Quota, now: float) -> None:
        """What has come since `at`, up to the burst."""
        self.level = min(quota.burst, self.level + (now - self.at) * quota.rate)
        self.at = now


class Quotas:
    """The buckets of a server. Any thread may charge."""

    def __init__(
        self,
        register: Register,
        clock: Callable[[], float] = monotonic,
        spent: Callable[[str, float], None] = lambda _tenant, _cost: None,
        refused: Callable[[str], None] = lambda _tenant: None,
    ) -> None:
        self._register, self._clock = register, clock
        self._spent, self._refused = spent, refused
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def limited(self, tenant: str) -> bool:
        """Whether a tenant has a quota, so that a request's cost need be estimated. Asked before anything is
        looked up or loaded for the request.

        Raises:
            NotFound: for a tenant that is no more.
            Exhausted: if its quota is zero.
        """
        quota = self._register.tenant(tenant).quota
        if quota is not None and quota.rate == 0:
            self._refused(tenant)
            raise closed()
        return quota is not None

    def charge(self, tenant: str, cost: float) -> None:
        """Let a tenant spend.

        Raises:
            Exhausted: over the quota, with the time after which it may be tried again.
        """
        quota = self._register.tenant(tenant).quota
        if quota is not None and (error := self._charge(tenant, quota, cost)):
            self._refused(tenant)
            raise error

    def settle(self, tenant: str, charged: float, cost: float) -> None:
        """A request that was charged an estimate has cost so much: charge or give back the difference."""
        with self._lock:
            bucket = self._buckets.get(tenant)
            if bucket is not None:
                bucket.level -= cost - charged
        self._spent(tenant, cost)

    def _charge(self, tenant: str, quota: Quota, cost: float) -> Exhausted | None:
        if quota.rate == 0:
            return closed()
        with self._lock:
            bucket = self._buckets.get(tenant)
            if bucket is None:
                bucket = self._buckets[tenant] = Bucket(quota.burst, self._clock())
            wait = bucket.take(quota, cost, self._clock())
            if len(self._buckets) > FORGETFUL:
                self._forget(bucket)
        text = f"over the tenant's quota of {quota.rate:g} units a second (this is {cost:.0f})"
        return exhausted(f"{text}; wait and send again", wait) if wait else None

    def _forget(self, kept: Bucket) -> None:
        """Buckets that nobody has drawn from for long enough to be full again, the oldest half."""
        oldest = sorted(self._buckets, key=lambda name: self._buckets[name].at)[: FORGETFUL // 2]
        for name in oldest:
            if self._buckets[name] is not kept and self._buckets[name].level >= 0:
                del self._buckets[name]


def closed() -> Exhausted:
    """The refusal of a quota of zero."""
    return exhausted("the tenant's quota is zero: it may rank nothing", CLOSED_S)


def exhausted(text: str, retry_after_s: float) -> Exhausted:
    """The refusal."""
    error = Exhausted(text)
    error.retry_after_s = retry_after_s
    return error


def estimate(message: pb.RankRequest, steps: tuple[Step, ...]) -> float:
    """Units that a request will cost, about: candidates, and the tokens that each stage will read of them.

    Texts that the request does not send (from a document table) are taken for as long as models read.
    """
    seen = len(message.candidates.ids)
    characters = text_bytes(message) / seen if seen else 0.0
    cost = float(seen)
    for step in steps:
        cost += seen * step.spec.tokens(characters)
        seen = min(seen, step.spec.keep or seen)
    return cost


def text_bytes(message: pb.RankRequest) -> int:
    """Bytes of the texts of all candidates, about a character each."""
    columns = message.candidates.columns
    return sum(column.ByteSize() for column in columns if column.WhichOneof("values") == "text")


def actual(ranking: Ranking) -> float:
    """Units that a ranking has cost."""
    return len(ranking.rows) + sum(report.tokens for report in ranking.reports)
