"""`sluice teach`: a teacher's scores on disk, whole or not at all, and going on after a kill."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

import cli.teach
from cascade.build import load_steps
from cascade.config import parse_config
from cascade.ranker import Ranker
from cascade.stages.cross_encoder import CrossEncoder
from cascade.stages.embedded import embedded_model
from features.batch import CandidateBatch
from features.columns import Floats, Input, Kind
from features.errors import Conflict, InvalidInput, NotFound
from training import teach as teaching
from training.candidates import judged
from training.collection import Collection
from training.teach import StageScorer, WeightsScorer, teach
from training.teacher import read_teacher


class ByPrice:
    """The price is the score; a dear document has none."""

    inputs = (Input("price", Kind.NUMBER),)

    def __init__(self, identity: str = "price", calls: int = 99) -> None:
        self.identity = identity
        self.calls = calls

    def __call__(self, batch: CandidateBatch) -> Floats:
        """The scores, as many times as it is good for."""
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        prices: Floats = batch.columns["price"].values
        return np.where(prices > 1.6, np.nan, prices).astype(np.float32)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of about a hundred rows, so that a small collection has several."""
    monkeypatch.setattr(teaching, "PART_ROWS", 100)


def test_what_is_written_is_what_training_reads(many: Collection, tmp_path: Path) -> None:
    """Every candidate's score by its ids; those without a score are counted and not in the file."""
    out = tmp_path / "scores.parquet"
    told = teach(many, judged(many), ByPrice(), out)
    teacher = read_teacher(out)
    assert told.pairs == len(teacher) == pq.read_metadata(out).num_rows
    assert told.pairs + told.unscored == 480
    assert told.unscored > 0
    assert pq.read_schema(out).metadata[b"teacher"] == b"price"
    row = many.documents.ids["q7d3"]
    number = teacher.queries["q7"] * len(teacher.documents) + teacher.documents["q7d3"]
    assert teacher.scores[np.searchsorted(teacher.pairs, number)] == many.documents.rows[row]["price"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "scores.parquet"]


def test_a_killed_run_goes_on_and_gives_the_same_file(many: Collection, tmp_path: Path) -> None:
    """After a kill in the third part there is no file; the next run scores the rest alone."""
    whole, out = tmp_path / "whole.parquet", tmp_path / "scores.parquet"
    teach(many, judged(many), ByPrice(), whole)
    with pytest.raises(KeyboardInterrupt):
        teach(many, judged(many), ByPrice(calls=2), out)
    assert not out.exists()
    rest = ByPrice(calls=3)
    told = teach(many, judged(many), rest, out)
    assert rest.calls == 0
    assert 0 < told.resumed < told.pairs
    assert out.read_bytes() == whole.read_bytes()


def test_parts_of_another_teacher_are_refused(many: Collection, tmp_path: Path) -> None:
    """What another teacher began is not gone on with."""
    out = tmp_path / "scores.parquet"
    with pytest.raises(KeyboardInterrupt):
        teach(many, judged(many), ByPrice(calls=2), out)
    with pytest.raises(Conflict, match="another teacher, collection or candidates"):
        teach(many, judged(many), ByPrice("other"), out)


def test_nothing_to_score_is_an_error(many: Collection, tmp_path: Path) -> None:
    """No candidates, and no candidate with a score, are said."""
    with pytest.raises(InvalidInput, match="no candidates"):
        teach(many, {}, ByPrice(), tmp_path / "scores.parquet")
    prices = {name: row["price"] for name, row in zip(many.documents.ids, many.documents.rows, strict=True)}
    dear = {query: [name for name in judged if prices[name] > 1.6] for query, judged in many.grades.items()}
    with pytest.raises(InvalidInput, match="gave no candidate a score"):
        teach(many, dear, ByPrice(), tmp_path / "scores.parquet")


CASCADE = """
[[features]]
name = "price"
kind = "numeric"
field = "price"

[[stages]]
name = "first"
kind = "linear"
weights = { price = 2.0 }
keep = 2

[[stages]]
name = "aside"
kind = "linear"
weights = { price = 1.0 }

[[stages]]
name = "last"
kind = "linear"
weights = { "stage.first" = -1.0 }
"""


def ranker(tmp_path: Path) -> Ranker:
    """Three declared stages: the last reads the first, and nothing reads the one between."""
    config = parse_config(CASCADE)
    features = config.feature_set()
    return Ranker("shop/default", "v1", features, load_steps(config.stages, tmp_path, features.names))


def test_a_stage_teaches_over_all_candidates(many: Collection, tmp_path: Path) -> None:
    """The last stage scores what an earlier one would have cut, after the stage that it reads alone."""
    scorer = StageScorer(ranker(tmp_path))
    assert [step.spec.name for step in scorer.steps] == ["first", "last"]
    out = tmp_path / "scores.parquet"
    assert teach(many, judged(many), scorer, out).pairs == 480
    rows = pq.read_table(out).to_pylist()
    prices = [many.documents.rows[many.documents.ids[row["document_id"]]]["price"] for row in rows]
    np.testing.assert_allclose([row["score"] for row in rows], [-2 * price for price in prices])


def test_a_stage_that_is_none_is_refused(tmp_path: Path) -> None:
    """A misspelt stage is named with those there are."""
    with pytest.raises(NotFound, match="it has first, aside, last"):
        StageScorer(ranker(tmp_path), "frist")


def test_an_exported_cross_encoder_teaches_by_itself(small: Collection, tmp_path: Path) -> None:
    """The embedded weights score a collection's pairs, the relevant one highest."""
    app = typer.Typer()
    app.command()(cli.teach.command)
    folder = next(iter(small.files.values())).parent
    out = tmp_path / "scores.parquet"
    result = CliRunner().invoke(
        app,
        ["--collection", str(folder), "--weights", str(embedded_model()), "--fields", "title",
         "--max-tokens", "32", "--out", str(out), "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["pairs"] == 5
    rows = {(row["query_id"], row["document_id"]): row["score"] for row in pq.read_table(out).to_pylist()}
    assert rows["q1", "a"] > rows["q1", "c"]


def test_another_template_is_another_teacher() -> None:
    """Scores of one are never mixed with parts of the other's that a kill has left."""
    specs = [CrossEncoder(name="t", fields=("title",), template=text) for text in ("{title}", "A: {title}")]
    assert len({WeightsScorer(embedded_model(), spec).identity for spec in specs}) == 2


def test_a_teacher_has_to_be_named(small: Collection, tmp_path: Path) -> None:
    """Neither a store nor weights, and a field that is none, are errors."""
    with pytest.raises(InvalidInput, match="--store DIR with --tenant NAME, or --weights"):
        cli.teach.published(None, "", "default", "", "")
    with pytest.raises(InvalidInput, match="nothing: no such text field; there are title"):
        cli.teach.alone(small, "nothing", "", 64)
