"""Quotas and fair permits, without a server: buckets, estimates, turns of tenants and a full queue."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.deadline import NEVER, Deadline
from cascade.pipeline import Step
from cascade.stages.cross_encoder import CrossEncoder
from cascade.stages.fixed import Fixed
from cascade.tenants import Platform, Quota, Tenant
from features.errors import Exhausted, NotFound
from features.fairness import HIGH, LOW, Share
from serving.admission import Admission
from serving.quotas import CLOSED_S, Bucket, Quotas, estimate
from serving.register import Register
from serving.testing import ByColumn
from sluice.v1.ranking_pb2 import RankRequest


class Fixed1:
    """Declares one quota for every tenant but `gone`."""

    def __init__(self, quota: Quota | None) -> None:
        self.quota = quota

    def get(self, name: str) -> Tenant:
        if name == "gone":
            raise NotFound("gone")
        return Tenant(quota=self.quota)

    def platform(self) -> Platform | None:
        return None


def quotas(rate: float | None, burst: float = 0.0) -> tuple[Quotas, list[float], dict[str, float]]:
    """Quotas with a clock that a test moves, and what was spent by tenant."""
    now, spent = [100.0], dict[str, float]()
    quota = None if rate is None else Quota(rate=rate, burst=burst)

    def note(tenant: str, cost: float) -> None:
        spent[tenant] = spent.get(tenant, 0.0) + cost

    return Quotas(Register(Fixed1(quota), 1.0), lambda: now[0], note), now, spent


def refused(call: Callable[[], object]) -> Exhausted:
    """The refusal of a call."""
    with pytest.raises(Exhausted) as caught:
        call()
    return caught.value


def test_a_tenant_spends_its_burst_and_then_its_rate() -> None:
    """Beyond the burst it is told when there is enough again, and then there is; others have their own."""
    one, now, _ = quotas(10.0, 100.0)
    one.charge("shop", 60.0)
    one.charge("shop", 40.0)
    error = refused(lambda: one.charge("shop", 50.0))
    assert error.retry_after_s == 5.0
    assert "10 units a second" in str(error)
    one.charge("news", 100.0)
    now[0] += 4.9
    assert refused(lambda: one.charge("shop", 50.0)).retry_after_s == pytest.approx(0.1)
    now[0] += 0.1
    one.charge("shop", 50.0)


def test_more_than_the_burst_at_once_leaves_a_debt() -> None:
    """A request larger than the burst is let in by a full bucket; the next waits until the debt is paid."""
    one, now, _ = quotas(10.0, 100.0)
    one.charge("shop", 400.0)
    assert refused(lambda: one.charge("shop", 1.0)).retry_after_s == pytest.approx(30.1)
    now[0] += 31.0
    one.charge("shop", 1.0)


def test_an_estimate_is_settled() -> None:
    """What was charged too much comes back, what was too little is taken; the count is of what was spent."""
    one, _, spent = quotas(10.0, 100.0)
    one.charge("shop", 100.0)
    one.settle("shop", 100.0, 20.0)
    one.charge("shop", 80.0)
    one.settle("shop", 80.0, 130.0)
    assert refused(lambda: one.charge("shop", 1.0)).retry_after_s == pytest.approx(5.1)
    assert spent == {"shop": 150.0}


def test_a_quota_of_zero_refuses_everything() -> None:
    """Even a request for nothing, in words that say why, with time to come back."""
    one, now, _ = quotas(0.0)
    for cost in (0.0, 1.0, 1e9):
        error = refused(lambda cost=cost: one.charge("shop", cost))
        assert "zero" in str(error)
        assert error.retry_after_s == CLOSED_S
    now[0] += 1e9
    refused(lambda: one.charge("shop", 1.0))


def test_without_a_quota_there_is_no_limit() -> None:
    """A tenant without one spends what it likes; one that is gone is not found."""
    one, _, _ = quotas(None)
    one.charge("shop", 1e12)
    with pytest.raises(NotFound):
        one.charge("gone", 1.0)


@settings(deadline=None, max_examples=200)
@given(
    st.floats(0.1, 100.0),
    st.floats(1.0, 100.0),
    st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 50.0)), max_size=60),
)
def test_nobody_spends_more_than_burst_and_rate(
    rate: float, burst: float, steps: list[tuple[float, float]]
) -> None:
    """What is let in within any time is at most the rate over it, the burst, and one request's debt."""
    quota, bucket, now, let_in, largest = Quota(rate=rate, burst=burst), Bucket(burst, 0.0), 0.0, 0.0, 0.0
    for pause, cost in steps:
        now += pause
        wait = bucket.take(quota, cost, now)
        if wait == 0.0:
            let_in += cost
            largest = max(largest, cost)
        else:
            after = Bucket(bucket.level, bucket.at)
            assert after.take(quota, cost, now + wait * (1 + 1e-9) + 1e-9) == 0.0
        assert let_in <= burst + rate * now + largest + 1e-6


def test_the_estimate_counts_what_each_stage_reads() -> None:
    """Candidates, and for a model the tokens of those that the cut before it leaves."""
    message = RankRequest()
    message.candidates.ids.extend(str(row) for row in range(100))
    column = message.candidates.columns.add(name="body").text
    column.values.extend(["x" * 450] * 100)
    cheap = Step(Fixed(name="first", keep=10), ByColumn())
    model = Step(CrossEncoder(name="second", max_tokens=256), ByColumn())
    assert estimate(message, (cheap,)) == 100.0
    assert estimate(message, (cheap, model)) == pytest.approx(100.0 + 10 * 100.0, rel=0.05)
    column.values[:] = ["x" * 45_000] * 100
    assert estimate(message, (cheap, model)) == 100.0 + 10 * 256.0
    del message.candidates.columns[:]
    assert estimate(message, (cheap, model)) == 100.0 + 10 * 256.0
    assert estimate(RankRequest(), (cheap, model)) == 0.0


def waiting(
    pool: ThreadPoolExecutor, admission: Admission, share: Share, order: list[str], cost: float = 1.0
) -> "Future[None]":
    """A request that waits for a permit and notes its turn; it waits when this returns."""
    before = held(admission, share)

    def run() -> None:
        with admission.admitted(share), admission.computing(Deadline(share=share), cost):
            order.append(share.tenant)

    made = pool.submit(run)
    while not made.done() and held(admission, share) <= before:
        pass
    return made


def held(admission: Admission, share: Share) -> int:
    """How many of a tenant wait."""
    return sum(one.share == share for one in list(admission._waiting))


def test_permits_go_round_among_tenants() -> None:
    """Behind ten requests of one tenant, another's first is second, and by weight from then on."""
    admission, order = Admission(1, 100), list[str]()
    with ThreadPoolExecutor(20) as pool, admission.computing(NEVER):
        for _ in range(10):
            waiting(pool, admission, Share("noisy"), order)
        for _ in range(4):
            waiting(pool, admission, Share("quiet", 2.0), order)
    assert order[:6].count("quiet") == 4
    assert order.count("noisy") == 10


def test_large_requests_use_up_turns() -> None:
    """A tenant of large requests gets fewer of them."""
    admission, order = Admission(1, 100), list[str]()
    with ThreadPoolExecutor(20) as pool, admission.computing(NEVER):
        for _ in range(4):
            waiting(pool, admission, Share("large"), order, 1_000.0)
        for _ in range(8):
            waiting(pool, admission, Share("small"), order, 100.0)
    assert order.index("large", 1) >= 8


def test_classes_of_permits() -> None:
    """Who came last is first if its class is higher."""
    admission, order = Admission(1, 100), list[str]()
    with ThreadPoolExecutor(20) as pool, admission.computing(NEVER):
        for name, priority in (("low", LOW), ("normal", 1), ("high", HIGH)):
            waiting(pool, admission, Share(name, priority=priority), order)
    assert order == ["high", "normal", "low"]


def test_a_full_queue_makes_room_for_who_holds_less() -> None:
    """The last of the noisy tenant goes home with a time to come back, nobody of the other does."""
    admission, order = Admission(1, 3), list[str]()
    with ThreadPoolExecutor(20) as pool:
        with admission.admitted(), admission.computing(NEVER):
            noisy = [waiting(pool, admission, Share("noisy"), order) for _ in range(3)]
            with pytest.raises(Exhausted), admission.admitted(Share("noisy")):
                raise AssertionError
            quiet = waiting(pool, admission, Share("quiet"), order)
            error = noisy[2].exception(30)
        assert isinstance(error, Exhausted)
        assert error.retry_after_s > 0
        for one in (*noisy[:2], quiet):
            one.result(30)
    assert sorted(order) == ["noisy", "noisy", "quiet"]
    assert (admission.in_flight, admission.busy, admission._waiting) == (0, 0, [])


def test_a_reserve_for_tenants_that_hold_little() -> None:
    """Where one tenant's requests wait for a model, so that none can be sent home, others still come in."""
    admission = Admission(1, 3, reserve=2)
    with ExitStack() as held:
        for _ in range(4):
            for each in (admission.admitted(Share("noisy")), admission.computing(NEVER), admission.aside()):
                held.enter_context(each)
        for name, is_let_in in (("noisy", False), ("quiet", True), ("quiet", False), ("new", True)):
            if is_let_in:
                held.enter_context(admission.admitted(Share(name)))
            else:
                refused(lambda name=name: held.enter_context(admission.admitted(Share(name))))
        refused(lambda: held.enter_context(admission.admitted(Share("newer"))))
        with admission.computing(NEVER):
            assert (admission.in_flight, admission.busy) == (6, 1)
    assert (admission.in_flight, admission.busy) == (0, 0)


def test_a_lower_class_never_drives_out_a_higher_one() -> None:
    """However much the higher class holds."""
    admission, order = Admission(1, 2), list[str]()
    with ThreadPoolExecutor(20) as pool, admission.admitted(), admission.computing(NEVER):
        for _ in range(2):
            waiting(pool, admission, Share("high", priority=HIGH), order)
        with pytest.raises(Exhausted), admission.admitted(Share("low", priority=LOW)):
            raise AssertionError


def test_nothing_is_lost_under_load() -> None:
    """After many requests of many tenants, with errors among them, every permit and place is back."""
    admission, done = Admission(3, 6), list[int]()

    def run(number: int) -> None:
        share = Share(str(number % 5), 1.0 + number % 3, number % 3)
        permit = admission.computing(Deadline(share=share), float(number % 7))
        with suppress(Exhausted, KeyError), admission.admitted(share), permit:
            if number % 11 == 0:
                raise KeyError
            with admission.aside():
                done.append(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(run, range(2_000)))
    assert (admission.in_flight, admission.busy, admission._begun, admission._waiting) == (0, 0, 0, [])
    assert not admission._held
    assert len(done) > 100
