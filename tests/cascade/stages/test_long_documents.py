"""Long documents through the cross-encoder stage: passages, their pooling, and the one that is shown."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.deadline import NEVER, Deadline
from cascade.explain import explain
from cascade.pipeline import Step, run
from cascade.request import RankRequest
from cascade.stage import StageResult
from cascade.stages.cross_encoder import CrossEncoder, LoadedCrossEncoder, assemble
from cascade.stages.cross_encoding.run import WINDOW, WINDOW_CHARACTERS, Run
from cascade.stages.fixed import Fixed
from cascade.testing import no_features
from features.batch import CandidateBatch, Query, single
from features.columns import text
from features.errors import InvalidConfig
from features.registry import parse
from features.transformer.scheduler import SCHEDULERS
from features.transformer.tokens import CHARACTERS_A_TOKEN

TOKENS, OVERLAP = 24, 8


def stage_of(directory: Path, **passages: Any) -> LoadedCrossEncoder:
    """The stage that reads in passages of 24 tokens, 8 of them shared."""
    table = {"tokens": TOKENS, "overlap": OVERLAP, "document_tokens": 400, **passages}
    spec = {"name": "ce", "max_tokens": 48, "query_tokens": 16, "fields": ["body"], "passages": table}
    return parse(spec, CrossEncoder, "$").load(directory, ())


def asked(words: list[str], bodies: Sequence[str]) -> CandidateBatch:
    """One query's candidates."""
    return candidates(Query(" ".join(words[:4])), bodies)


def candidates(query: Query, bodies: Sequence[str]) -> CandidateBatch:
    """A query's candidates."""
    return single(query, [str(row) for row in range(len(bodies))], {"body": text(bodies)})


def scored(stage: LoadedCrossEncoder, batch: CandidateBatch, deadline: Deadline = NEVER) -> StageResult:
    """The stage's result."""
    return stage.score(batch, no_features(batch), deadline)


def by_hand(stage: LoadedCrossEncoder, batch: CandidateBatch) -> list[list[float]]:
    """The score of every passage of every candidate, each sent as a candidate of its own."""
    plain = assemble(CrossEncoder(name="ce", max_tokens=48, query_tokens=16, fields=("body",)), stage.model)
    found = []
    for body in batch.columns["body"].values:
        pieces = body.split()
        spans = stage.spec.passages.spans(len(pieces)) if stage.spec.passages else []
        parts = [" ".join(pieces[start:end]) for start, end in spans]
        found.append(scored(plain, candidates(batch.queries[0], parts)).scores.tolist())
    return found


@pytest.fixture
def batch(words: list[str]) -> CandidateBatch:
    """Candidates of a word up to several passages; every word is one token."""
    random = np.random.default_rng(3)
    return asked(words, [" ".join(random.choice(words, n)) for n in (1, 24, 25, 60, 300, 7)])


@pytest.mark.parametrize("pool", ["max", "mean", "first"])
def test_the_score_is_pooled_from_the_passages(
    directory: Path, words: list[str], batch: CandidateBatch, pool: str
) -> None:
    """Each passage scores as a candidate of its own would, to the bit."""
    stage = stage_of(directory, pool=pool)
    parts = by_hand(stage, batch)
    assert [len(part) for part in parts] == [1, 1, 2, 4, 19, 1] if pool != "first" else [1] * 6
    pools = {"max": max, "first": lambda part: part[0], "mean": np.mean}
    expected = np.array([pools[pool](part) for part in parts], np.float32)
    result = scored(stage, batch)
    np.testing.assert_array_equal(result.scores, expected)
    best = [int(np.argmax(part)) for part in parts]
    passages = stage.spec.passages
    assert passages
    lengths = [len(body.split()) for body in batch.columns["body"].values]
    assert result.passages == {row: passages.spans(length)[best[row]] for row, length in enumerate(lengths)}


def test_what_is_beyond_the_budget_is_reported(directory: Path, words: list[str]) -> None:
    """A document of a million characters is read to its budget, and the answer says that there is more."""
    stage = stage_of(directory)
    long = " ".join(words * 700)
    assert len(long) > 1_000_000
    result = scored(stage, asked(words, [long, words[5], " ".join(words[:200])]))
    assert result.warnings == ("1 text truncated to 400 tokens",)
    read = " ".join(long.split()[:400])
    np.testing.assert_array_equal(result.scores[0], scored(stage, asked(words, [read])).scores[0])
    assert result.tokens < 2 * (400 + 200) + 40 * 10
    first = scored(stage_of(directory, pool="first"), asked(words, [long, words[5]]))
    assert first.warnings == ("1 text truncated to 24 tokens",)


def test_long_texts_are_tokenised_a_few_at_a_time(directory: Path, words: list[str]) -> None:
    """What is tokenised at once is bounded in texts and in characters, and every text has its turn."""
    stage = stage_of(directory, document_tokens=4_096)
    bodies = ["word " * 100_000] * 40 + ["word"] * 70 + [""]
    run = Run(stage.pairing, stage.spec.passages, asked(words, bodies), bodies)
    portions = list(run.portions())
    assert [row for rows in portions for row in rows] == list(range(110))
    bound = 4_096 * CHARACTERS_A_TOKEN
    for rows in portions:
        assert len(rows) <= WINDOW
        assert sum(min(len(bodies[row]), bound) for row in rows) < WINDOW_CHARACTERS + bound


def test_the_query_keeps_its_room_beside_every_passage(directory: Path, words: list[str]) -> None:
    """A passage never costs the query more than a document of that length would, nor itself a token."""
    stage = stage_of(directory)
    query = Query(" ".join(words[:40]))
    batch = candidates(query, [" ".join(words[:100])])
    result = scored(stage, batch)
    passages = stage.spec.passages
    assert passages
    assert result.tokens == 48 * len(passages.spans(100))
    assert result.warnings == ("1 query truncated to 16 tokens",)


def test_time_runs_out_within_a_document(
    directory: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is scored by the passages that were read, and the answer says so."""
    monkeypatch.setattr(SCHEDULERS, "workers", 1)  # so that the first batches are the first to be done
    calls = [0]
    stage = stage_of(directory)

    class Counted:
        """Counts runs."""

        def run(self, *asked: Any) -> Any:
            calls[0] += 1
            return stage.model.session.run(*asked)

        @property
        def options(self) -> Any:
            return stage.model.session.options

    spec = CrossEncoder(
        name="ce",
        max_tokens=48,
        query_tokens=16,
        fields=("body",),
        passages=stage.spec.passages,
        batch_tokens=96,
    )
    counted = assemble(spec, replace(stage.model, session=Counted()))
    batch = asked(words, [" ".join(words[:40]), " ".join(words[:290]), " ".join(words[50:290])])
    result = scored(counted, batch, Deadline(cancelled=lambda: calls[0] > 5))
    assert result.late
    assert np.isfinite(result.scores[0])
    assert np.isfinite(result.scores[1])
    assert "1 text scored by those passages alone that were read in time" in result.warnings


def test_the_passage_that_won_is_explained(directory: Path, words: list[str], batch: CandidateBatch) -> None:
    """By its characters, also behind a stage before and for the items of a page alone."""
    before = Fixed(name="first", table={str(row): float(row) for row in range(6)}, keep=4)
    stage = stage_of(directory)
    steps = (Step(before, before.load(directory, ())), Step(stage.spec, stage))
    request = RankRequest(batch)
    top = run(steps, no_features, request).top(5)
    told = explain(steps, request, top)
    spans = scored(stage, batch).passages
    for row, one in zip(top.rows.tolist(), told, strict=True):
        if row < 2:
            assert (one.reader, one.passage) == ("", None)
            continue
        body = batch.columns["body"].values[row]
        assert one.passage is not None
        assert one.reader == "ce"
        assert one.passage.text == " ".join(body.split()[slice(*spans[row])])
        assert body[one.passage.start : one.passage.end] == one.passage.text


def test_passages_that_leave_the_query_no_room() -> None:
    """They are refused before anything is loaded."""
    table = {"name": "ce", "max_tokens": 128, "query_tokens": 32, "passages": {"tokens": 100}}
    with pytest.raises(InvalidConfig, match="must fit into max_tokens"):
        parse(table, CrossEncoder, "$")
