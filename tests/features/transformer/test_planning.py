"""What goes into the next micro-batch, without threads."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from features.fairness import LOW
from features.fairness import Share as Tenant
from features.transformer.planning import (
    PATIENCE,
    QUANTUM,
    SLICE_S,
    WORTH_A_RUN,
    Circumstances,
    Part,
    Waiting,
    next_batch,
    overtakes,
    turns,
)

widths = st.sampled_from([16, 32, 48, 64, 256, 512])
queues = st.lists(st.lists(widths, min_size=1, max_size=60), min_size=1, max_size=6)


def requests(*lists: list[int], due: float = 1.0, budget: int = 512, ahead: int = 64) -> list[Waiting]:
    """A request for each list of widths."""
    made = [Waiting(arrival, due, budget, ahead) for arrival in range(len(lists))]
    for one, pairs in zip(made, lists, strict=True):
        for position, width in enumerate(pairs):
            one.add(position, width)
    return made


def drained(made: list[Waiting], workers: int = 1, pace: float = 0.0) -> list[list[Part]]:
    """Every micro-batch until nothing waits."""
    batches: list[list[Part]] = []
    before = sum(one.served for one in made)
    while some := [one for one in made if one.count]:
        spent = sum(one.served for one in made) - before
        batches.append(next_batch(some, Circumstances(workers, spent, pace)))
    return batches


def ends(batches: list[list[Part]]) -> dict[int, int]:
    """Arrival → cells that were run until the request's last pair was."""
    spent, ended = 0, {}
    for shares in batches:
        spent += sum(len(positions) for _, positions in shares)
        ended |= {one.arrival: spent for one, _ in shares}
    return ended


@settings(deadline=None, max_examples=50)
@given(queues, st.integers(1, 3), st.integers(16, 600), st.sampled_from([0.0, 1e-5, 1e-3]))
def test_every_pair_is_run_once_among_its_like(
    lists: list[list[int]], workers: int, budget: int, pace: float
) -> None:
    """No pair is lost or run twice, a batch has one width, and stays in the budget unless it is one pair."""
    made = requests(*lists, budget=budget)
    seen = []
    for shares in drained(made, workers, pace):
        pairs = [(one.arrival, position) for one, positions in shares for position in positions]
        wide = {lists[arrival][position] for arrival, position in pairs}
        assert len(wide) == 1
        assert len(pairs) == 1 or wide.pop() * len(pairs) <= max(budget, WORTH_A_RUN)
        seen += pairs
    assert sorted(seen) == [(a, p) for a, pairs in enumerate(lists) for p in range(len(pairs))]
    assert all((one.cells, one.count, one.lanes) == (0, 0, {}) for one in made)


def test_who_was_served_less_overtakes() -> None:
    """By a level at least; the next one decides."""
    newcomer, long = requests([16], [512] * 9)
    long.served = QUANTUM
    now = Circumstances()
    assert overtakes([newcomer, long], 1, [long.share], now)
    assert overtakes([long], 2, [long.share], now)
    assert not overtakes([newcomer], 0, [long.share], now)
    assert not overtakes([long], 1, [long.share], now)
    assert not overtakes([], 5, [long.share], now)


def test_nobody_overtakes_a_tenant_for_whom_his_own_has_to_wait() -> None:
    """However little a request was served: its tenant had more of the machine, or is of a later class."""
    newcomer = requests([16])[0]
    served = turns()
    newcomer.share, other = Tenant("a"), Tenant("b")
    served.charge(newcomer.share, 5 * QUANTUM)
    served.charge(other, QUANTUM)
    assert not overtakes([newcomer], 1, [other], Circumstances(turns=served))
    assert not overtakes([newcomer], 1, [newcomer.share, other], Circumstances(turns=served))
    assert overtakes([newcomer], 1, [newcomer.share], Circumstances(turns=served))
    assert overtakes([newcomer], 1, [other], Circumstances())
    newcomer.share = Tenant("a", priority=LOW)
    assert not overtakes([newcomer], 1, [other], Circumstances())


@settings(deadline=None, max_examples=50)
@given(queues, st.integers(1, 20))
def test_the_best_part_goes_first(lists: list[list[int]], ahead: int) -> None:
    """Whenever time runs out, nothing was run that stands `ahead` or more behind the first pair left out."""
    made = requests(*lists, ahead=ahead)
    done: list[set[int]] = [set() for _ in lists]
    for shares in drained(made):
        for one, positions in shares:
            done[one.arrival] |= set(positions)
        for ran in done:
            left_out = next(position for position in range(1000) if position not in ran)
            assert max(ran, default=0) < left_out + ahead


@settings(deadline=None, max_examples=40)
@given(queues)
def test_nobody_starves(lists: list[list[int]]) -> None:
    """However many others there are, little is run between two batches of a request that waits."""
    made = requests(*lists)
    spent = 0
    while some := [one for one in made if one.count]:
        assert max(spent - one.since for one in some) < PATIENCE + len(lists) * 512
        spent += sum(
            len(positions) * lists[one.arrival][positions[0]]
            for one, positions in next_batch(some, Circumstances(spent=spent))
        )


def test_a_long_request_is_served_among_endless_short_ones() -> None:
    """Ever new short requests leave it a batch now and then."""
    [long] = requests([256] * 40)
    long.served = 100 * QUANTUM
    served = []
    for turn in range(64):
        [short] = requests([32] * 12)
        short.arrival, short.since = turn + 1, turn * 384
        shares = next_batch([long, short], Circumstances(spent=turn * 384))
        served += [turn] if any(one is long for one, _ in shares) else []
    step = -(-PATIENCE // 384)
    assert served == list(range(step, 64, step))


def test_ten_short_pairs_pass_a_thousand_long_ones() -> None:
    """Once the long request has had its first quantum, they are next, all at once."""
    long, short = requests([256] * 1000, [32] * 10)
    for _ in range(9):
        next_batch([long], Circumstances())
    assert [one for one, _ in next_batch([long, short], Circumstances())] == [short]
    assert not short.count


def test_the_earliest_deadline_goes_first() -> None:
    """Among requests that were served alike, in whatever order they came."""
    made = never, late, early = requests([64] * 5, [64] * 5, [64] * 5)
    early.due, late.due, never.due = 1.0, 2.0, inf
    assert [shares[0][0] for shares in drained(made)] == [early, late, never]


def test_similar_requests_are_not_interleaved_for_nothing() -> None:
    """Requests within one level finish one after the other, which is sooner in the mean than together."""
    made = requests([64] * 14, [64] * 14, [64] * 14, [64] * 14)
    assert list(ends(drained(made)).values())[:2] == [14, 28]


def test_company_joins_only_a_batch_that_is_too_small() -> None:
    """A lone pair takes others of its width along, up to what is worth a run; a full batch takes none."""
    lone, other = requests([32], [32] * 50)
    shares = next_batch([lone, other], Circumstances())
    assert [len(positions) for _, positions in shares] == [1, WORTH_A_RUN // 32 - 1]
    full, other = requests([32] * 10, [32] * 50)
    assert [one for one, _ in next_batch([full, other], Circumstances())] == [full]
    lone, other = requests([32], [48] * 50)
    assert [one for one, _ in next_batch([lone, other], Circumstances())] == [lone]


def test_little_work_is_shared_among_the_workers() -> None:
    """A single request of a few pairs keeps two workers busy."""
    [one] = requests([32] * 12)
    assert [len(positions) for [(_, positions)] in drained([one], workers=2)] == [6, 3, 3]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([16, 32, 48, 64]), min_size=60, max_size=150), st.integers(2, 4))
def test_the_workers_end_together(pairs: list[int], workers: int) -> None:
    """However widths are mixed, the last batches get smaller, so that nobody waits long for the last one."""
    busy = [0] * workers
    [one] = requests(pairs)
    while one.count:
        spent = one.served
        next_batch([one], Circumstances(workers, spent))
        busy[busy.index(min(busy))] += one.served - spent
    assert max(busy) - min(busy) <= 2 * WORTH_A_RUN


def test_batches_are_short_where_somebody_waits() -> None:
    """With a deadline a batch takes about a slice at the measured pace, in even parts; without one the
    budget."""
    pace = SLICE_S / 128
    for due, most in ((1.0, 8), (inf, 32)):
        [one] = requests([16] * 200, due=due)
        [(_, positions)] = next_batch([one], Circumstances(pace=pace))
        assert len(positions) == most
    [one] = requests([16] * 18)
    assert [len(positions) for [(_, positions)] in drained([one], pace=pace)] == [9, 9]


def of_tenants(*lists: tuple[Tenant, list[int]]) -> list[Waiting]:
    """A request for each tenant and list of widths."""
    made = requests(*(widths for _, widths in lists))
    for one, (tenant, _) in zip(made, lists, strict=True):
        one.share = tenant
    return made


def cells_at(batches: list[list[Part]], widths: dict[int, int], spent: int) -> dict[str, int]:
    """Tenant → cells that were run for it within the first `spent`."""
    got: dict[str, int] = {}
    total = 0
    for one, positions in (part for parts in batches for part in parts):
        cells = widths[one.arrival] * len(positions)
        if total + cells > spent:
            return got
        total += cells
        got[one.share.tenant] = got.get(one.share.tenant, 0) + cells
    return got


def drained_by_turns(made: list[Waiting]) -> list[list[Part]]:
    """Every micro-batch until nothing waits, with tenants' turns kept."""
    batches: list[list[Part]] = []
    kept = turns()
    while some := [one for one in made if one.count]:
        batches.append(next_batch(some, Circumstances(1, int(kept.done), 0.0, kept)))
    return batches


def test_many_requests_of_one_tenant_weigh_as_one() -> None:
    """A tenant with twenty requests gets half of the model beside a tenant with one, not twenty parts."""
    noisy, quiet = Tenant("noisy"), Tenant("quiet")
    made = of_tenants(*[(noisy, [64] * 50)] * 20, (quiet, [64] * 400))
    got = cells_at(drained_by_turns(made), dict.fromkeys(range(21), 64), 40_000)
    assert abs(got["noisy"] - got["quiet"]) <= 2 * 512


def test_weights_are_parts_of_the_model() -> None:
    """Three to one gives three times as many cells while both wait."""
    made = of_tenants((Tenant("a", 3.0), [32] * 2_000), (Tenant("b", 1.0), [32] * 2_000))
    got = cells_at(drained_by_turns(made), {0: 32, 1: 32}, 40_000)
    assert 2.7 <= got["a"] / got["b"] <= 3.3


def test_a_higher_class_goes_first_and_a_lower_one_does_not_starve() -> None:
    """Of two busy tenants the higher class gets almost everything, the lower one a batch now and then."""
    made = of_tenants((Tenant("low", 1.0, 2), [64] * 500), (Tenant("high", 1.0, 0), [64] * 3_000))
    got = cells_at(drained_by_turns(made), {0: 64, 1: 64}, 150_000)
    assert 0 < got["low"] < 0.05 * got["high"]


@settings(deadline=None, max_examples=50)
@given(queues, st.integers(1, 3))
def test_tenants_change_no_plan_of_one_tenant(lists: list[list[int]], workers: int) -> None:
    """With one tenant, whatever its weight and class, the micro-batches are those without any."""
    plain, owned = requests(*lists), requests(*lists)
    for one in owned:
        one.share = Tenant("shop", 7.0, 2)

    def plan(made: list[Waiting]) -> list[list[tuple[int, list[int]]]]:
        kept, batches = turns(), []
        while some := [one for one in made if one.count]:
            parts = next_batch(some, Circumstances(workers, int(kept.done), 0.0, kept))
            batches.append([(one.arrival, positions) for one, positions in parts])
        return batches

    assert plan(plain) == plan(owned)
