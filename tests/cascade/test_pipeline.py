"""The laws of the cascade: nothing is lost, later verdicts stand, and what went wrong is said."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade import pipeline
from cascade.build import load_steps
from cascade.deadline import Deadline
from cascade.pipeline import Step
from cascade.ranking import INPUT, Ranking, Status
from cascade.request import RankRequest
from cascade.stage import StageResult
from cascade.stages.fixed import Fixed
from cascade.testing import candidates, no_features, request
from features.batch import CandidateBatch
from features.columns import Input
from features.errors import NotReady, OutOfTime, SluiceError
from features.matrix import FeatureMatrix

NOWHERE = Path("nowhere")
FINISHED = {Status.RAN, Status.SHRUNK}
SCORES = st.one_of(st.none(), st.just(float("nan")), st.integers(-2, 2).map(float))
laws = settings(max_examples=150, deadline=None)


def steps_of(*specs: Fixed) -> tuple[Step, ...]:
    """The stages, loaded."""
    return load_steps(specs, NOWHERE, ())


@dataclass(frozen=True)
class Case:
    """A cascade of fixed stages, a number of candidates, and the ticks after which the time is up."""

    specs: tuple[Fixed, ...]
    n: int
    ticks: float

    def request(self, top_k: int = 0) -> RankRequest:
        """A fresh request under a fresh clock that moves by one each time it is read."""
        clock: Iterator[int] = count()
        batch = candidates([str(row) for row in range(self.n)])
        return RankRequest(batch, top_k, Deadline(self.ticks, lambda: float(next(clock))))

    def rank(self, top_k: int = 0) -> Ranking | None:
        """The ranking, or None where the time was up before any stage had finished."""
        try:
            return pipeline.run(steps_of(*self.specs), no_features, self.request(top_k))
        except OutOfTime:
            return None


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Random stages of random scores, cuts, failures, dependencies and lateness."""
    n = draw(st.integers(0, 9))
    specs: list[Fixed] = []
    for position in range(draw(st.integers(1, 4))):
        scores = draw(st.lists(SCORES, min_size=n, max_size=n))
        earlier = st.sampled_from([f"stage.{spec.name}" for spec in specs] or ["stage.none"])
        specs.append(
            Fixed(
                name=f"s{position}",
                keep=draw(st.one_of(st.none(), st.integers(1, 9))),
                on_late=draw(st.sampled_from(["shrink", "skip"])),
                table={str(row): score for row, score in enumerate(scores) if score is not None},
                reads=tuple(draw(st.lists(earlier, max_size=1))) if specs else (),
                late_after=draw(st.one_of(st.none(), st.none(), st.integers(0, 9))),
                fail=draw(st.sampled_from([False, False, False, True])),
            )
        )
    return Case(tuple(specs), n, draw(st.one_of(st.just(np.inf), st.integers(1, 8).map(float))))


@laws
@given(cases())
def test_every_candidate_comes_back_exactly_once(case: Case) -> None:
    """Whatever stages do, the answer is a permutation of the candidates."""
    ranking = case.rank()
    if ranking is not None:
        assert sorted(ranking.rows.tolist()) == list(range(case.n))
        assert len(ranking.scores) == len(ranking.placed_by) == case.n
        assert len(ranking.reports) == len(case.specs)
        assert ranking.final


@laws
@given(cases())
def test_a_later_verdict_stands_before_an_earlier_one(case: Case) -> None:
    """Read from the top, the stages that placed the items only go back; within one, scores only fall."""
    ranking = case.rank()
    if ranking is not None:
        stage = {INPUT: -1} | {spec.name: position for position, spec in enumerate(case.specs)}
        placed = [stage[name] for name in ranking.placed_by]
        assert placed == sorted(placed, reverse=True)
        for position in set(placed) - {-1}:
            scores = ranking.scores[np.array(placed) == position]
            assert (np.diff(scores) <= 0).all()


@laws
@given(cases())
def test_scores_are_those_of_the_stage_that_placed_the_item(case: Case) -> None:
    """`placed_by` and `score` tell the truth, and an item that nothing scored has no score."""
    ranking = case.rank()
    tables = {spec.name: spec.table for spec in case.specs}
    if ranking is not None:
        for row, score, name in zip(ranking.rows.tolist(), ranking.scores, ranking.placed_by, strict=True):
            if name == INPUT:
                assert np.isnan(score)
            else:
                assert score == tables[name][str(row)]


@laws
@given(cases())
def test_what_a_stage_did_not_tell_apart_keeps_the_order_before_it(case: Case) -> None:
    """Ties, unscored items and items that were cut stand as they did after the stage before."""
    before = np.arange(case.n)
    for ranking in shown(case):
        rank_before = {row: rank for rank, row in enumerate(before.tolist())}
        keys = list(zip(ranking.placed_by, ranking.scores.tolist(), strict=True))
        for (key, row), (next_key, next_row) in pairwise(zip(keys, ranking.rows.tolist(), strict=True)):
            if key == next_key or (key[0] == next_key[0] == INPUT):
                assert rank_before[row] < rank_before[next_row]
        before = ranking.rows


def shown(case: Case) -> Iterator[Ranking]:
    """The rankings on the way, as far as the time allows."""
    try:
        yield from pipeline.stream(steps_of(*case.specs), no_features, case.request())
    except OutOfTime:
        return


@laws
@given(cases())
def test_the_same_input_gives_the_same_answer(case: Case) -> None:
    """Rows, scores, placements and reports are the same in two runs, but for measured times."""
    assert told(case.rank()) == told(case.rank())


def told(ranking: Ranking | None) -> object:
    """All that a ranking says, but for measured times."""
    if ranking is None:
        return None
    reports = [replace(each, features_s=0, inference_s=0, queue_s=0) for each in ranking.reports]
    outcomes = sorted(ranking.outcomes.items())
    return ranking.rows.tolist(), ranking.scores.tobytes(), ranking.placed_by, reports, outcomes


@laws
@given(cases())
def test_the_stream_ends_on_what_run_answers(case: Case) -> None:
    """One ranking a stage, each with one report more, only the last of them final, and it is run's."""
    rankings = list(shown(case))
    whole = case.rank()
    if whole is not None:
        assert told(rankings[-1]) == told(whole)
        assert [len(each.reports) for each in rankings] == list(range(1, len(case.specs) + 1))
        assert [each.final for each in rankings] == [False] * (len(rankings) - 1) + [True]


@laws
@given(cases(), st.integers(0, 5))
def test_counts_of_what_entered_and_left_the_top(case: Case, top_k: int) -> None:
    """`entered_top_k` and `left_top_k` are the difference between the top before and after the stage."""
    k = top_k or pipeline.DEFAULT_TOP_K
    before = set(range(min(k, case.n)))
    try:
        for ranking in pipeline.stream(steps_of(*case.specs), no_features, case.request(top_k)):
            after, report = set(ranking.rows[:k].tolist()), ranking.reports[-1]
            assert (report.entered_top_k, report.left_top_k) == (len(after - before), len(before - after))
            before = after
    except OutOfTime:
        pass


@laws
@given(cases())
def test_cuts_hold_and_never_grow(case: Case) -> None:
    """A stage sees what the one before let through, and lets through no more than its `keep`."""
    ranking = case.rank()
    arriving = case.n
    for spec, report in zip(case.specs, ranking.reports if ranking else (), strict=False):
        assert report.seen in ({arriving} if report.status in FINISHED else {arriving, 0})
        assert report.kept == min(spec.keep or arriving, arriving)
        arriving = report.kept


@laws
@given(cases())
def test_a_stage_whose_input_score_is_not_there_says_so(case: Case) -> None:
    """A stage that reads the score of one that did not finish does not run, and names it."""
    ranking = case.rank()
    ran: set[str] = set()
    for spec, report in zip(case.specs, ranking.reports if ranking else (), strict=False):
        absent = [name for name in spec.reads if name.removeprefix("stage.") not in ran]
        if absent and report.status is not Status.SKIPPED_BUDGET:
            assert report.status is Status.FAILED
            assert absent[0] in report.reason
        elif report.status is Status.FAILED:
            assert spec.fail
        if report.status in FINISHED:
            ran.add(spec.name)


@laws
@given(cases())
def test_degraded_is_told_exactly_when_a_stage_fell_short(case: Case) -> None:
    """An answer is degraded if and only if a report says failed, shrunk or skipped for the budget."""
    ranking = case.rank()
    if ranking is not None:
        short = {Status.FAILED, Status.SHRUNK, Status.SKIPPED_BUDGET}
        assert ranking.degraded == any(report.status in short for report in ranking.reports)
        assert all(report.reason for report in ranking.reports if report.status in short)


def rank(*specs: Fixed, ids: str = "abcd") -> Ranking:
    """The ranking of a few candidates."""
    return pipeline.run(steps_of(*specs), no_features, request(list(ids)))


def order(ranking: Ranking, ids: str = "abcd") -> str:
    """The ids, best first."""
    return "".join(ids[row] for row in ranking.rows.tolist())


def test_a_cut_keeps_what_the_stage_behind_does_not_see_in_its_place() -> None:
    """The second stage turns the two it sees around; the others keep the first stage's order and score."""
    first = Fixed(name="first", keep=2, table={"a": 1, "b": 2, "c": 3, "d": 4})
    second = Fixed(name="second", table={"c": 9, "d": 8, "a": 100})
    ranking = rank(first, second)
    assert order(ranking) == "cdba"
    assert ranking.placed_by == ("second", "second", "first", "first")
    assert ranking.scores.tolist() == [9, 8, 2, 1]


def test_ties_keep_the_order_in_long_lists_too() -> None:
    """A sort that happens to be stable for a handful is not enough."""
    ids = [str(row) for row in range(500)]
    spec = Fixed(name="first", table={name: float(int(name) % 2) for name in ids})
    rows = pipeline.run(steps_of(spec), no_features, request(ids)).rows.tolist()
    assert rows == [*range(1, 500, 2), *range(0, 500, 2)]


def test_an_item_that_cannot_be_scored_has_an_outcome_by_the_requests_row() -> None:
    """The outcome is filed under the row of the request, though the stage saw another order."""
    first = Fixed(name="first", table={"a": 1, "b": 2, "c": 3, "d": 4})
    ranking = rank(first, Fixed(name="second", table={"a": 1, "b": 1, "d": 1}))
    assert ranking.outcomes == {2: "not in the table"}
    assert order(ranking) == "dbac"


def test_a_failing_stage_leaves_the_order_and_says_why() -> None:
    """The ranking of the stage before stands, and the report carries the reason."""
    first = Fixed(name="first", table={"a": 1, "b": 2, "c": 3, "d": 4})
    ranking = rank(first, Fixed(name="second", fail=True))
    assert order(ranking) == "dcba"
    assert [report.status for report in ranking.reports] == [Status.RAN, Status.FAILED]
    assert "told to fail" in ranking.reports[1].reason
    assert ranking.degraded


def test_on_error_fail_fails_the_request() -> None:
    """A stage that must not be missed takes the request down with its own error."""
    with pytest.raises(SluiceError, match="told to fail"):
        rank(Fixed(name="first", fail=True, on_error="fail"))


def test_on_error_fail_holds_where_the_score_it_reads_is_not_there() -> None:
    """A stage that must not be missed is not passed over for want of an input either."""
    with pytest.raises(NotReady, match=r"'second' reads stage\.first"):
        rank(
            Fixed(name="first", fail=True),
            Fixed(name="second", reads=("stage.first",), on_error="fail"),
        )


def test_an_expired_deadline_is_refused_before_features() -> None:
    """No work is done for a caller whose time has passed."""

    def never(batch: CandidateBatch) -> FeatureMatrix:
        raise AssertionError("features were computed")

    late = RankRequest(candidates(["a"]), deadline=Deadline(0.0, lambda: 1.0))
    with pytest.raises(OutOfTime, match="before ranking began"):
        pipeline.run(steps_of(Fixed(name="first", table={"a": 1})), never, late)


def test_out_of_time_before_any_stage_finished() -> None:
    """Where features alone took all of the time, the answer is an error and not the input order."""
    case = Case((Fixed(name="first", table={"0": 1.0}), Fixed(name="second")), 2, ticks=1.0)
    with pytest.raises(OutOfTime, match="before any stage had finished"):
        pipeline.run(steps_of(*case.specs), no_features, case.request())


def test_out_of_time_after_a_stage_is_a_degraded_answer() -> None:
    """Once a stage has finished, a passed deadline skips the others and the ranking at hand is given."""
    specs = (Fixed(name="first", table={"0": 1.0, "1": 2.0}), Fixed(name="second", table={"0": 9.0}))
    ranking = Case(specs, 2, ticks=2.0).rank()
    assert ranking is not None
    assert ranking.rows.tolist() == [1, 0]
    assert [report.status for report in ranking.reports] == [Status.RAN, Status.SKIPPED_BUDGET]
    assert ranking.reports[1].seen == 0


@pytest.mark.parametrize(
    ("on_late", "status", "ids"),
    [("shrink", Status.SHRUNK, "cdba"), ("skip", Status.SKIPPED_BUDGET, "dcba")],
)
def test_a_late_stage_is_shrunk_or_skipped_as_declared(on_late: str, status: Status, ids: str) -> None:
    """ "shrink" keeps the scores so far before all else; "skip" keeps none of them."""
    first = Fixed(name="first", table={"a": 1, "b": 2, "c": 3, "d": 4})
    late = Fixed(name="late", table={"d": 1, "c": 2, "b": 3}, late_after=2, on_late=on_late)  # type: ignore[arg-type]
    ranking = rank(first, late)
    assert order(ranking) == ids
    assert ranking.reports[1].status is status


def test_a_late_stage_that_scored_nothing_was_skipped() -> None:
    """A shrunk stage has at least one score; one without any did not take part."""
    ranking = rank(Fixed(name="first", table={"a": 1}), Fixed(name="late", table={"a": 1}, late_after=0))
    assert ranking.reports[1].status is Status.SKIPPED_BUDGET
    assert ranking.placed_by[0] == "first"


@dataclass(frozen=True)
class Broken:
    """A stage that breaks the contract as it is told to."""

    make: Callable[[int], StageResult]
    reads: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:
        """Whatever it was told to."""
        return self.make(len(batch))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: StageResult(np.full(n, np.inf, np.float32)),
        lambda n: StageResult(np.full(n, -np.inf, np.float32)),
        lambda n: StageResult(np.zeros(n + 1, np.float32)),
        lambda n: StageResult(np.zeros(0, np.float32)),
        lambda n: 1 / 0,
    ],
)
def test_a_stage_that_breaks_its_contract_never_reaches_the_order(make: Callable[[int], StageResult]) -> None:
    """Infinite scores, a wrong number of them and any exception are a failed stage."""
    ranking = pipeline.run([Step(Fixed(name="broken"), Broken(make))], no_features, request(["a", "b"]))
    assert ranking.reports[0].status is Status.FAILED
    assert ranking.placed_by == (INPUT, INPUT)


def test_what_an_unexpected_failure_says_is_its_type_alone() -> None:
    """The message of an exception that is not ours may hold anything, so that only its class is told."""
    steps = [Step(Fixed(name="broken"), Broken(lambda n: [][n]))]
    assert pipeline.run(steps, no_features, request(["a"])).reports[0].reason == "IndexError"


def test_no_candidates_is_an_empty_ranking() -> None:
    """An empty list is ranked like any other."""
    ranking = rank(Fixed(name="first", table={"a": 1}), Fixed(name="second"), ids="")
    assert len(ranking.rows) == 0
    assert not ranking.degraded
    assert [report.seen for report in ranking.reports] == [0, 0]


def test_no_stages_is_the_order_that_came_in() -> None:
    """Without stages the answer is final all the same."""
    ranking = pipeline.run((), no_features, request(["a", "b"]))
    assert ranking.rows.tolist() == [0, 1]
    assert ranking.final


def test_later_stages_read_scores_by_the_requests_row() -> None:
    """`stage.<name>` carries each survivor's own score, and NaN for what a stage did not see."""
    seen: list[FeatureMatrix] = []

    @dataclass(frozen=True)
    class Spy:
        reads: tuple[str, ...] = ("stage.first",)
        inputs: tuple[Input, ...] = ()

        def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:
            seen.append(matrix)
            assert batch.ids == ["b", "c"]
            return StageResult(np.zeros(len(batch), np.float32))

    first = Fixed(name="first", keep=2, table={"a": 1, "b": 2, "c": 3})
    turn = Fixed(name="turn", table={"b": 6, "c": 5})
    steps = [*steps_of(first, turn), Step(Fixed(name="spy"), Spy())]
    ranking = pipeline.run(steps, no_features, request(["a", "b", "c"]))
    assert seen[0].column("stage.first").tolist() == [2, 3]
    assert seen[0].column("stage.turn").tolist() == [6, 5]
    assert ranking.matrix is not None
    assert np.isnan(ranking.matrix.column("stage.turn")).tolist() == [True, False, False]
    assert seen[0].offsets.tolist() == [0, 2]
