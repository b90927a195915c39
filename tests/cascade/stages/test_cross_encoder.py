"""The cross-encoder stage on a small random BERT that the packed exporter wrote."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.deadline import NEVER, Deadline
from cascade.stage import StageResult
from cascade.stages.cross_encoder import CrossEncoder, LoadedCrossEncoder, assemble
from cascade.stages.cross_encoding.run import FAILED, NO_SCORE, NO_TEXT, NO_WORD
from cascade.stages.cross_encoding.template import parse_template, render
from cascade.stages.embedded import embedded_model
from features.batch import CandidateBatch, Query, single
from features.columns import number, text
from features.errors import Corrupt, InvalidConfig, NotReady
from features.matrix import FeatureMatrix
from features.registry import parse
from features.transformer.layout import Layout
from features.transformer.packed import Pair, micro_batches, width
from features.transformer.queue import AHEAD
from features.transformer.session import Sessions, SessionSettings, cores
from features.transformer.tokens import CHARACTERS_A_TOKEN, OVERHEAD, Pairing, Text, TokenCache
from features.transformer.wordpiece import WordPieces
from training.export import Checkpoint
from training.export.families import INPUTS
from training.export.families.bert import Bert
from training.export.linear import Dynamic, Float
from training.export.run import open_model, scores
from training.export.testing import made_pairs, made_words

BERT = Layout(before=(2,), between=(3,), after=(3,))
WORDS = made_words(300, np.random.default_rng(5))
QUERY = " ".join(WORDS[:4])


@pytest.fixture(scope="module")
def stage(directory: Path) -> LoadedCrossEncoder:
    """The stage on titles and bodies."""
    return CrossEncoder(name="ce", max_tokens=128, query_tokens=16).load(directory, ())


def documents(count: int, seed: int = 0, median: float = 20) -> list[str]:
    """Made-up texts of very different lengths."""
    pairs = made_pairs(WORDS, 1, count, np.random.default_rng(seed), median)
    return [document for _, document in pairs]


def batch_of(bodies: Sequence[str | None], query: str = QUERY) -> CandidateBatch:
    """One query's candidates with bodies alone."""
    return single(Query(query), [str(row) for row in range(len(bodies))], {"body": text(bodies)})


def matrix_of(batch: CandidateBatch) -> FeatureMatrix:
    """A matrix without columns."""
    return FeatureMatrix(np.empty((len(batch), 0), np.float32), (), batch.offsets, "")


def scored(
    stage: LoadedCrossEncoder, bodies: Sequence[str | None], query: str = QUERY, deadline: Deadline = NEVER
) -> StageResult:
    """The stage's result for bodies alone."""
    batch = batch_of(bodies, query)
    return stage.score(batch, matrix_of(batch), deadline)


class Watched:
    """A session that a test hears of before every run; what it raises is the session's error."""

    def __init__(self, session: Any, hear: Callable[[Any], None]) -> None:
        self.session, self.hear = session, hear

    def run(self, outputs: Sequence[str], inputs: Any, *how: Any) -> Any:
        """As the session does."""
        self.hear(inputs)
        return self.session.run(outputs, inputs, *how)

    @property
    def options(self) -> Any:
        """Those of a session on one thread: a single worker where the process has one core."""
        return self.session.options


def with_session(stage: LoadedCrossEncoder, session: Any, **spec: Any) -> LoadedCrossEncoder:
    """The stage on another session, with other keys."""
    return assemble(msgspec.structs.replace(stage.spec, **spec), replace(stage.model, session=session))


def watched(stage: LoadedCrossEncoder, hear: Callable[[Any], None], **spec: Any) -> LoadedCrossEncoder:
    """The stage on a session that a test hears of."""
    return with_session(stage, Watched(stage.model.session, hear), **spec)


def test_a_pair_scores_the_same_in_any_company(stage: LoadedCrossEncoder) -> None:
    """Alone and in a hundred different batches a pair's score is the same to the bit."""
    bodies = documents(60)
    alone = np.array([scored(stage, [body]).scores[0] for body in bodies])
    assert len(set(alone.tolist())) > 50
    random = np.random.default_rng(1)
    for turn in range(100):
        some = random.permutation(60)[: random.integers(1, 60)]
        deadline = Deadline.after(1e6) if turn % 2 else NEVER
        found = scored(stage, [bodies[row] for row in some], deadline=deadline).scores
        np.testing.assert_array_equal(found, alone[some])


def test_a_pair_scores_the_same_among_requests_at_once(stage: LoadedCrossEncoder) -> None:
    """Requests that share micro-batches get the bits that each gets alone, whatever the company."""
    bodies = documents(80, 9)
    queries = [" ".join(WORDS[i : i + 3]) for i in range(3)]
    alone = {query: scored(stage, bodies, query).scores for query in queries}

    def ask(turn: int) -> None:
        random = np.random.default_rng(turn)
        query, some = queries[turn % 3], random.permutation(80)[: random.integers(1, 30)]
        deadline = Deadline.after(1e6) if turn % 2 else NEVER
        found = scored(stage, [bodies[row] for row in some], query, deadline).scores
        np.testing.assert_array_equal(found, alone[query][some])

    with ThreadPoolExecutor(6) as clients:
        assert len(list(clients.map(ask, range(100)))) == 100


def test_dynamic_scales_do_depend_on_company(checkpoint: Checkpoint, stage: LoadedCrossEncoder) -> None:
    """What calibration is for: with scales of the batch the same comparison fails."""
    model = Bert(checkpoint).write(Dynamic()).model(INPUTS, {"score": ("B",)})
    dynamic = with_session(stage, open_model(model))
    bodies = documents(20)
    alone = np.array([scored(dynamic, [body]).scores[0] for body in bodies])
    assert (scored(dynamic, bodies).scores != alone).any()


def test_float_scores_move_by_rounding_alone(checkpoint: Checkpoint, stage: LoadedCrossEncoder) -> None:
    """A float32 graph keeps within a hundred-thousandth in any company."""
    model = Bert(checkpoint).write(Float(), False).model(INPUTS, {"score": ("B",)})
    plain = with_session(stage, open_model(model))
    bodies = documents(40)
    alone = np.array([scored(plain, [body]).scores[0] for body in bodies])
    for seed in range(10):
        some = np.random.default_rng(seed).permutation(40)[: 5 + 3 * seed]
        found = scored(plain, [bodies[row] for row in some], deadline=Deadline.after(1e6)).scores
        np.testing.assert_allclose(found, alone[some], rtol=1e-5, atol=1e-5)


def test_threads_and_budgets_change_nothing(directory: Path, stage: LoadedCrossEncoder) -> None:
    """The score does not depend on how the work is cut into threads and micro-batches."""
    bodies = documents(40, 2)
    expected = scored(stage, bodies).scores
    for threads, budget in ((1, 64), (2, 1000)):
        session = Sessions(SessionSettings(threads=threads)).share((directory / "model.onnx").read_bytes())
        other = with_session(stage, session, batch_tokens=budget)
        np.testing.assert_array_equal(scored(other, bodies).scores, expected)


def test_scores_follow_the_model(checkpoint: Checkpoint, stage: LoadedCrossEncoder) -> None:
    """The stage, from texts to scores, stays near a float32 graph fed by `tokenizers` itself."""
    from tokenizers import Tokenizer

    library = Tokenizer.from_str(checkpoint.tokenizer)
    bodies = documents(50, 3)

    def pair(body: str) -> Pair:
        q, d = (library.encode(part, add_special_tokens=False).ids for part in (QUERY, body))
        ids = [*[2, *q, 3, *d][:127], 3]
        return Pair(np.array(ids, np.int32), len(q) + 2)

    model = Bert(checkpoint).write(Float(), False).model(INPUTS, {"score": ("B",)})
    expected = scores(open_model(model), [pair(body) for body in bodies])
    found = scored(stage, bodies).scores
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    assert np.abs(found - expected).mean() < 0.2 * expected.std()


def test_many_queries_in_one_batch(stage: LoadedCrossEncoder) -> None:
    """Each row is read with its own query, and a query without candidates does no harm."""
    bodies = documents(7, 4)
    queries = tuple(Query(" ".join(WORDS[i : i + 3])) for i in range(3))
    batch = CandidateBatch(
        queries, [str(i) for i in range(7)], np.array([0, 4, 4, 7]), {"body": text(bodies)}
    )
    found = stage.score(batch, matrix_of(batch), NEVER).scores
    first = scored(stage, bodies[:4], queries[0].text).scores
    last = scored(stage, bodies[4:], queries[2].text).scores
    np.testing.assert_array_equal(found, np.concatenate([first, last]))


def test_candidates_without_text(stage: LoadedCrossEncoder) -> None:
    """They get an outcome and no score, and the others are scored as without them."""
    result = scored(stage, [None, "red " + WORDS[7], "", "  \n", "\x00\x01\x02"])
    assert result.outcomes == dict.fromkeys((0, 2, 3, 4), NO_TEXT)
    assert np.isnan(result.scores).tolist() == [True, False, True, True, True]
    assert result.scores[1] == scored(stage, ["red " + WORDS[7]]).scores[0]


def test_no_candidates(stage: LoadedCrossEncoder) -> None:
    """An empty batch gives no scores and is not late."""
    result = scored(stage, [])
    assert len(result.scores) == 0
    assert not result.late


def test_odd_texts_are_scored(stage: LoadedCrossEncoder) -> None:
    """Control characters and lone surrogates are read as well as they can be; of a text in which the model
    knows nothing, the outcome says so."""
    result = scored(
        stage,
        [
            "漢字 漢字 漢字",
            f"\x07{WORDS[3]}\x00 {WORDS[4]}\x1b",
            "\ud800 " + WORDS[5],
            "q" * 500,
            WORDS[1] + " 漢",
        ],
    )
    assert np.isfinite(result.scores).tolist() == [False, True, True, False, True]
    assert result.outcomes == {0: NO_WORD, 3: NO_WORD}
    assert result.scores[1] == scored(stage, [f"{WORDS[3]} {WORDS[4]}"]).scores[0]


def test_a_text_of_a_million_characters_is_bounded(stage: LoadedCrossEncoder) -> None:
    """Only its beginning is tokenised, and the cut is reported."""
    long = " ".join(WORDS[10:60])
    result = scored(stage, [long * 3300, WORDS[5]])
    assert result.warnings == ("1 text truncated to 128 tokens with the query",)
    assert result.tokens < 128 + 20
    assert result.scores[0] == scored(stage, [long * 30]).scores[0]
    kept = [text for text in stage.pairing.cache.entries.values() if text.cut]
    assert max(len(text.ids) for text in kept) == 128


def test_lengths_a_hundred_times_apart(directory: Path) -> None:
    """A batch of a word and a text of hundreds scores both as alone."""
    stage = CrossEncoder(name="ce", max_tokens=512).load(directory, ())
    bodies = [WORDS[1], " ".join(WORDS[:200]) * 2]
    alone = [scored(stage, [body]).scores[0] for body in bodies]
    np.testing.assert_array_equal(scored(stage, bodies).scores, alone)


def test_a_long_query_leaves_room(stage: LoadedCrossEncoder) -> None:
    """The query is cut to its room beside a long document, keeps more beside a short one, and says so."""
    query = " ".join(WORDS[:60])
    beside_long = scored(stage, [" ".join(WORDS[60:260])], query)
    assert beside_long.warnings[-1] == "1 query truncated to 16 tokens"
    assert beside_long.tokens == 128
    assert not scored(stage, [WORDS[5]], query).warnings


def test_time_runs_out_best_first(stage: LoadedCrossEncoder) -> None:
    """What was scored before the deadline is the best part, to the bit; the rest has no score."""
    time = [0.0]

    def hear(_: object) -> None:
        time[0] += 1.0

    bodies = documents(200, 5)
    everything = scored(stage, bodies).scores
    deadline = Deadline(8.5, lambda: time[0])
    result = scored(watched(stage, hear), bodies, deadline=deadline)
    done = np.isfinite(result.scores)
    assert result.late
    assert 8 <= done.sum() < 200
    assert not done[np.flatnonzero(~done).min() + AHEAD + 32 :].any()
    assert not result.outcomes
    np.testing.assert_array_equal(result.scores[done], everything[done])


def test_no_time_at_all(stage: LoadedCrossEncoder) -> None:
    """A deadline that has passed, or a caller who has gone, scores nothing."""
    for deadline in (Deadline(0.0, lambda: 1.0), Deadline(cancelled=lambda: True)):
        result = scored(stage, documents(5), deadline=deadline)
        assert result.late
        assert np.isnan(result.scores).all()
        assert result.tokens == 0


def test_a_caller_who_goes_ends_the_work(stage: LoadedCrossEncoder) -> None:
    """Between two micro-batches, not at the end."""
    runs: list[object] = []
    gone = Deadline(cancelled=lambda: len(runs) >= 3)
    assert scored(watched(stage, runs.append), documents(300), deadline=gone).late
    assert len(runs) <= 3 + cores()


def test_a_session_that_fails(stage: LoadedCrossEncoder) -> None:
    """One that fails on everything fails the stage; one that fails on a text costs that text alone."""

    def closed(_: object) -> None:
        raise RuntimeError("closed")

    def picky(inputs: Any) -> None:
        if bad in inputs["ids"]:
            raise RuntimeError("this token")

    with pytest.raises(RuntimeError, match="closed"):
        scored(watched(stage, closed), documents(20))
    bad = stage.pairing.encode([WORDS[9]])[0].ids[0]
    bodies = [WORDS[8], WORDS[9], WORDS[10]]
    result = scored(watched(stage, picky), bodies)
    assert result.outcomes == {1: FAILED}
    assert not result.late
    np.testing.assert_array_equal(result.scores[[0, 2]], scored(stage, [bodies[0], bodies[2]]).scores)


def test_a_model_that_yields_nan(checkpoint: Checkpoint, stage: LoadedCrossEncoder) -> None:
    """A token whose vector is broken costs its own items an outcome, and no others."""
    tensors = dict(checkpoint.tensors)
    words = tensors["bert.embeddings.word_embeddings.weight"].copy()
    bad = json.loads(checkpoint.tokenizer)["model"]["vocab"][WORDS[9]]
    words[bad] = np.nan
    tensors["bert.embeddings.word_embeddings.weight"] = words
    model = Bert(replace(checkpoint, tensors=tensors)).write(Float(), False)
    session = open_model(model.model(INPUTS, {"score": ("B",)}))
    result = scored(with_session(stage, session), [WORDS[8], WORDS[9], WORDS[10]])
    assert result.outcomes == {1: NO_SCORE}
    assert np.isnan(result.scores).tolist() == [False, True, False]


def test_fields_and_templates(directory: Path) -> None:
    """Fields that are there are joined by ". ", and a template puts them where it says."""
    title, body = WORDS[20], WORDS[21] + " " + WORDS[22]
    columns = {"title": text([title, None]), "body": text([body, body])}
    batch = single(Query(QUERY), ["a", "b"], columns)
    stage = CrossEncoder(name="ce").load(directory, ())
    found = stage.score(batch, matrix_of(batch), NEVER).scores
    np.testing.assert_array_equal(found, scored(stage, [f"{title}. {body}", body]).scores)
    turned = CrossEncoder(name="ce", template="{body} ({title})").load(directory, ())
    found = turned.score(batch, matrix_of(batch), NEVER).scores
    np.testing.assert_array_equal(found, scored(stage, [f"{body} ({title})", f"{body} ()"]).scores)


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"template": "{summary}"}, "$.stages[0]"),
        ({"template": "{title!r}"}, "$.stages[0]"),
        ({"template": "{title.upper}"}, "$.stages[0]"),
        ({"template": "nothing"}, "$.stages[0]"),
        ({"template": "{title"}, "$.stages[0]"),
        ({"fields": []}, "$.stages[0].fields"),
        ({"max_tokens": 16}, "$.stages[0]"),
        ({"max_tokens": 0}, "$.stages[0].max_tokens"),
        ({"train": {"folds": 1}}, "$.stages[0].train.folds"),
        ({"train": {"epoch": 1}}, "$.stages[0].train"),
    ],
)
def test_declarations_that_cannot_be_right(table: dict[str, object], path: str) -> None:
    """A wrong key is refused under its path."""
    with pytest.raises(InvalidConfig) as error:
        parse({"name": "ce", **table}, CrossEncoder, "$.stages[0]")
    assert error.value.path == path


def test_a_column_of_numbers_is_refused(stage: LoadedCrossEncoder) -> None:
    """A text field that arrives as numbers is an error that names the column."""
    batch = single(Query(QUERY), ["a"], {"body": number([1.0])})
    with pytest.raises(Exception, match=r"columns\.body"):
        stage.score(batch, matrix_of(batch), NEVER)


def test_sessions_are_shared_by_content(directory: Path) -> None:
    """Two loads of the same bytes hold one session, and it goes when nobody holds it."""
    sessions = Sessions()
    one, other = (sessions.share((directory / "model.onnx").read_bytes()) for _ in range(2))
    assert one is other
    assert len(sessions.open) == 1
    del one, other
    assert len(sessions.open) == 0


@pytest.mark.parametrize("spinning", [True, False])
def test_session_options_take_effect(directory: Path, spinning: bool) -> None:
    """What the settings say is what the session runs with."""
    settings = SessionSettings(threads=2, spinning=spinning, arena=False)
    session = Sessions(settings).share((directory / "model.onnx").read_bytes())
    options = session.options
    assert options.intra_op_num_threads == min(2, cores())
    assert options.inter_op_num_threads == 1
    assert options.enable_cpu_mem_arena is False
    assert options.enable_mem_pattern is False
    assert options.graph_optimization_level.name == "ORT_ENABLE_ALL"
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == str(int(spinning))
    assert [part.session.get_providers() for part in session.parts] == [["CPUExecutionProvider"]]


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "model.json"])
def test_missing_files_are_named(directory: Path, tmp_path: Path, name: str) -> None:
    """A stage directory without one of its files is not ready, and says which."""
    copy(directory, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(NotReady, match=name):
        CrossEncoder(name="ce").load(tmp_path, ())


def test_a_model_that_is_not_the_one_described(directory: Path, tmp_path: Path) -> None:
    """A changed model.onnx is corrupt, and one that is no model is not ready."""
    copy(directory, tmp_path)
    content = bytearray((tmp_path / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(Corrupt, match=r"model\.onnx"):
        CrossEncoder(name="ce").load(tmp_path, ())
    with pytest.raises(NotReady, match=r"model\.onnx"):
        Sessions().share(b"nothing", name="model.onnx")


@pytest.mark.parametrize(("key", "value"), [("family", "deberta"), ("max_tokens", 64), ("variant", 3)])
def test_notes_that_do_not_fit(directory: Path, tmp_path: Path, key: str, value: object) -> None:
    """An unknown family, too few positions, and broken notes are not ready."""
    copy(directory, tmp_path)
    notes = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**notes, key: value}))
    with pytest.raises(NotReady, match=str(value) if key != "variant" else "variant"):
        CrossEncoder(name="ce").load(tmp_path, ())


def copy(source: Path, target: Path) -> None:
    """The files of a stage."""
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(3, 300), max_size=60), st.integers(16, 600))
def test_micro_batches_hold_every_row_once(lengths: list[int], budget: int) -> None:
    """Every row is in one micro-batch, of one padded width, within the budget unless it is alone."""
    made = list(micro_batches(lengths, budget))
    assert sorted(row for rows in made for row in rows.tolist()) == list(range(len(lengths)))
    for rows in made:
        widths = {width(lengths[row]) for row in rows.tolist()}
        assert len(widths) == 1
        assert len(rows) == 1 or sum(widths) * len(rows) <= budget


def test_the_cache_of_tokens_stays_within_its_budget() -> None:
    """The least recently used texts go first, and a text in use stays."""
    cache = TokenCache(budget=3 * (OVERHEAD + 400))
    texts = {str(i).encode(): Text(np.zeros(100, np.int32), False) for i in range(10)}
    for key, one in texts.items():
        cache.put([key], [one])
        assert cache.get([b"0"]) != [None]
    assert set(cache.entries) == {b"0", b"8", b"9"}
    assert cache.used == 3 * (OVERHEAD + 400)


class Recording:
    """A tokenizer that remembers what it was asked."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.pieces = WordPieces.load(checkpoint.tokenizer.encode())
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> object:
        """The pieces of the texts."""
        self.seen.extend(texts)
        return self.pieces.encode(texts)


def test_only_a_bounded_beginning_is_tokenised(checkpoint: Checkpoint) -> None:
    """A million characters cost what the first `CHARACTERS_A_TOKEN` a token cost."""
    tokenizer = Recording(checkpoint)
    pairing = Pairing(tokenizer, BERT, 64, 16, TokenCache(0))  # type: ignore[arg-type]
    pairs, cut, _ = pairing.pairs("q", ["word " * 200_000])
    assert (len(pairs[0]), cut) == (64, 1)
    assert max(len(text) for text in tokenizer.seen) == 64 * CHARACTERS_A_TOKEN


def test_documents_are_tokenised_once(checkpoint: Checkpoint) -> None:
    """A text that was seen, even twice in one batch, is not tokenised again."""
    tokenizer = Recording(checkpoint)
    pairing = Pairing(tokenizer, BERT, 64, 16, TokenCache(10_000_000))  # type: ignore[arg-type]
    pairing.pairs("q", ["one", "two", "one"])
    pairing.pairs("q", ["two", "three"])
    assert [text for text in tokenizer.seen if text != "q"] == ["one", "two", "three"]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 90), st.integers(0, 90))
def test_pairs_never_outgrow_their_room(query: int, document: int) -> None:
    """The pair fits, the query keeps its room, and nothing is cut where both fit."""
    pairing = Pairing(None, BERT, 64, 16, TokenCache(0))  # type: ignore[arg-type]
    asked, read = (Text(np.full(n, 9, np.int32), False) for n in (query, document))
    pair, cut, short = pairing.pair(asked, read)
    assert len(pair) == min(64, query + document + 3)
    assert pair.second - 2 >= min(query, 16)
    assert (cut or short) == (query + document + 3 > 64)


def test_templates_render_what_is_there() -> None:
    """Missing fields are empty in a template, and a candidate without any text is empty altogether."""
    parts = parse_template("{a} - {b}!", ("a", "b"))
    assert render(parts, ("a", "b"), ("x", None)) == "x - !"
    assert render(parts, ("a", "b"), (None, " ")) == ""
    assert render((), ("a", "b"), (None, "y")) == "y"


def test_the_embedded_model_loads_if_it_is_there() -> None:
    """The package's own model is a stage like any other, or its absence is said in a sentence."""
    if not (Path(str(files("cascade"))) / "embedded" / "model.json").is_file():
        with pytest.raises(NotReady, match="embedded"):
            embedded_model()
        return
    result = scored(CrossEncoder(name="ce").load(embedded_model(), ()), ["a text", "another one"])
    assert np.isfinite(result.scores).all()
