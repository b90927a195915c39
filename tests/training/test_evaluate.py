"""`evaluate` on collections small enough to compute by hand."""

from math import log2
from pathlib import Path

import pytest

from cascade.pipeline import Step
from cascade.ranker import Ranker
from cascade.ranking import Status
from cascade.stages.fixed import Fixed
from features.featureset import FeatureSet
from tests.support import require
from training.candidates import judged
from training.collection import Collection
from training.evaluate import Settings, evaluate
from training.metrics import Conventions
from training.report import page
from training.summary import summary
from training.verdict import Rule


def ranker(*specs: Fixed) -> Ranker:
    """A ranker of fixed stages without features."""
    steps = tuple(Step(spec, spec.load(Path(), ())) for spec in specs)
    return Ranker("test", "v1", FeatureSet.declare(()), steps)


ALPHABET = Fixed(name="alphabet", keep=2, table={"a": 4, "b": 3, "c": 2, "d": 1})
TURNED = Fixed(name="turned", table={"a": 1, "b": 2, "c": 3, "d": 4})
CASCADE = ranker(ALPHABET, TURNED)


def test_by_hand(small: Collection) -> None:
    """Metrics, losses and changes of two stages equal those computed on paper."""
    found = summary(evaluate(CASCADE, small, Settings()))
    assert found["digest"] == small.digest
    first, second = found["stages"]
    # q1 judges a=2 b=1 c=0, q2 judges c=1 d=0; the alphabet ranks q1 a b c and q2 c d
    assert first["metrics"]["nDCG@10"] == pytest.approx(1.0)
    assert first["metrics"]["MRR@10"] == pytest.approx(1.0)
    assert first["metrics"]["recall@2"] == pytest.approx(1.0)
    # turned swaps the two survivors: q1 b a c, q2 d c
    q1 = (1 + 2 / log2(3)) / (2 + 1 / log2(3))
    assert second["metrics"]["nDCG@10"] == pytest.approx((q1 + 1 / log2(3)) / 2)
    assert second["metrics"]["MRR@10"] == pytest.approx((1 + 1 / 2) / 2)
    assert second["difference"] == pytest.approx(second["metrics"]["nDCG@10"] - 1)
    assert (first["against"], second["against"]) == ("bm25", "alphabet")
    assert found["queries"] == 2


def test_bm25_baseline_by_hand(small: Collection) -> None:
    """The bm25 baseline sorts by the query's words: `red apple` finds a, b, c; `boat` ties c and d."""
    found = evaluate(CASCADE, small, Settings())
    first, second = found.baselines["bm25"]["nDCG@10"]
    tied = judged(small)["q2"].index("c")
    assert first == pytest.approx(1.0)
    assert second == pytest.approx(1 / log2(2 + tied))


def test_share_that_a_cut_lost(small: Collection) -> None:
    """A first stage that keeps the worst loses the relevant ones, and the last stage loses nothing."""
    bad = Fixed(name="bad", keep=1, table={"a": 1, "b": 2, "c": 3, "d": 4})
    found = summary(evaluate(ranker(bad, TURNED), small, Settings()))
    # keeps c of q1 (loses a and b) and d of q2 (loses c): three of three relevant candidates
    assert [stage["lost_relevant"] for stage in found["stages"]] == [1.0, 0.0]
    some = Fixed(name="some", keep=1, table={"a": 4, "b": 2, "c": 3, "d": 1})
    found = summary(evaluate(ranker(some, TURNED), small, Settings()))
    assert found["stages"][0]["lost_relevant"] == pytest.approx(1 / 3)
    alone = summary(evaluate(ranker(some), small, Settings()))
    assert alone["stages"][0]["lost_relevant"] == 0  # no stage follows, so the cut spares nobody's work


def test_changed_top_10(many: Collection) -> None:
    """Reordering within ten candidates brings nothing into the top 10."""
    table = {name: float(place % 7) for place, name in enumerate(many.documents.ids)}
    found = summary(evaluate(ranker(Fixed(name="x", table=table)), many, Settings()))
    assert found["stages"][0]["changed_top_10"] == 0


def test_layout(small: Collection) -> None:
    """The JSON has the promised names, and no others where scripts would look for them."""
    found = summary(evaluate(CASCADE, small, Settings()))
    assert set(found["baselines"]) == {"input", "bm25"}
    for metrics in (*found["baselines"].values(), *(stage["metrics"] for stage in found["stages"])):
        assert set(metrics) == {"nDCG@10", "MRR@10", "recall@2", "recall@10"}
    promised = "name metrics interval p_value lost_relevant changed_top_10 verdict"
    costs = "ms_per_query tokens_per_query"
    for stage in found["stages"]:
        assert {*promised.split(), *costs.split()} <= set(stage)
        assert set(stage["interval"]) == {"low", "high", "level", "metric"}
        assert stage["ms_per_query"] > 0
        assert stage["tokens_per_query"] == 0
    assert set(found["final_against"]) == {"input", "bm25", "alphabet"}


def test_verdicts_follow_the_rule(many: Collection) -> None:
    """A loss does not earn its place, a perfect order does, the same order again does not."""
    table = {doc: grade for grades in many.grades.values() for doc, grade in grades.items()}
    worst = Fixed(name="worst", table={name: -grade for name, grade in table.items()})
    again = Fixed(name="again", table={name: 2 * grade for name, grade in table.items()})
    cascade = ranker(worst, Fixed(name="best", table=table), again)
    found = evaluate(cascade, many, Settings())
    assert [stage.earned for stage in found.stages] == [False, True, False]
    assert "a loss" in found.stages[0].verdict
    assert found.stages[2].comparison.p_value == 1.0
    strict = evaluate(cascade, many, Settings(rule=Rule(min_lift=5.0)))
    assert not strict.stages[1].earned


def test_conventions_are_stated_and_followed(small: Collection) -> None:
    """Gain changes nDCG of graded queries, and the JSON says which gain it was."""
    linear = summary(evaluate(CASCADE, small, Settings()))
    exponential = summary(evaluate(CASCADE, small, Settings(conventions=Conventions("exponential"))))
    ours, theirs = (each["stages"][1]["metrics"]["nDCG@10"] for each in (linear, exponential))
    assert theirs < ours
    assert exponential["conventions"]["gain"] == "exponential"
    assert "2^grade - 1" in exponential["conventions"]["text"]


def test_judged_documents_beyond_the_candidates_count(small: Collection, tmp_path: Path) -> None:
    """A query whose relevant documents are not among its candidates counts, with what it reached."""
    run = tmp_path / "x.run"
    run.write_text("q1 Q0 d 1 1 t\nq2 Q0 c 1 1 t\n")
    found = summary(evaluate(CASCADE, small, Settings(candidates=str(run))))
    assert found["queries"] == 2
    assert found["stages"][0]["metrics"]["MRR@10"] == 0.5


def test_a_failing_stage_is_reported(small: Collection) -> None:
    """A stage that did not run is in the notes with its reason, and its statuses are counted."""
    found = summary(evaluate(ranker(ALPHABET, Fixed(name="broken", fail=True)), small, Settings()))
    assert found["stages"][1]["statuses"] == {Status.FAILED.value: 2}
    assert any("stage broken" in note and "2 of 2" in note for note in found["notes"])


def test_report_is_one_page(small: Collection) -> None:
    """The HTML holds the verdicts, four inline plots and escaped queries, and loads nothing."""
    require("matplotlib")
    html = page(evaluate(CASCADE, small, Settings()))
    assert html.count("<svg") == 4
    assert "turned does not earn its place" in html
    assert "Harmed most" in html
    assert "<script" not in html
    assert "src=" not in html
