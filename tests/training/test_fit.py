"""The cascade's training: no stage learns from a score that saw the label."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytest

from cascade.config import CascadeConfig
from cascade.deadline import Deadline
from cascade.stage import Stage, StageResult, StageSpec
from features.batch import CandidateBatch
from features.columns import Input
from features.matrix import FeatureMatrix
from training import fit as fitting
from training.candidates import judged
from training.collection import Collection
from training.dataset import StageData, build_batch, labels_of
from training.fit import fit_cascade, held_out, out_of_fold
from training.split import groups_of
from training.trainers import Context

NEVER_SEEN = -1.0
T = TypeVar("T")


class Memory(StageSpec, frozen=True, kw_only=True):
    """A stage that has learned every judged pair by heart, and knows nothing else."""

    kind: ClassVar[str] = "memory"

    def load(self, directory: Path, features: tuple[str, ...]) -> Stage:
        """The table of labels that the trainer wrote."""
        return Loaded(json.loads((directory / "labels.json").read_text()))


class Loaded:
    """The memorised labels."""

    reads: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()

    def __init__(self, labels: dict[str, float]) -> None:
        self.labels = labels

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:
        """The label of a pair that was learned, else `NEVER_SEEN`."""
        return StageResult(np.array([self.labels.get(pair, NEVER_SEEN) for pair in pairs(batch)], np.float32))


def pairs(batch: CandidateBatch) -> list[str]:
    """Query and document of every row."""
    owners = batch.query_of_row.tolist()
    return [f"{batch.queries[owner].id}/{name}" for owner, name in zip(owners, batch.ids, strict=True)]


class MemoryTrainer:
    """Writes all labels it is given, and keeps what it was given."""

    def __init__(self, learns: bool = True) -> None:
        self.given: list[StageData] = []
        self.learning = learns

    def ready(self, spec: StageSpec) -> None:
        """Nothing is needed."""

    def learns(self, spec: StageSpec) -> bool:
        """Whether labels are looked at."""
        return self.learning

    def fit(self, spec: Any, data: StageData, directory: Path, context: Context) -> Mapping[str, Any]:
        """Memorise."""
        self.given.append(data)
        labels = dict(zip(pairs(data.batch), data.labels.tolist(), strict=True))
        (directory / "labels.json").write_text(json.dumps(labels))
        return {"rows": len(labels)}


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> MemoryTrainer:
    """The trainer of every stage, one that memorises."""
    found = MemoryTrainer()
    monkeypatch.setattr(fitting, "trainer_of", lambda spec: found)
    return found


def data_of(collection: Collection) -> StageData:
    """The judged lists of a collection, without any feature."""
    batch = build_batch(collection, judged(collection), ())
    matrix = FeatureMatrix(np.empty((len(batch), 0), np.float32), (), batch.offsets, "none")
    groups, _ = groups_of(batch.queries, collection.grades)
    return StageData(batch, matrix, labels_of(batch, collection.grades), groups)


def cascade(*stages: StageSpec) -> CascadeConfig:
    """A cascade of these stages without features."""
    return CascadeConfig((), stages, "")


def test_no_score_that_a_later_stage_learns_from_saw_its_label(
    many: Collection, trainer: MemoryTrainer, tmp_path: Path
) -> None:
    """A first stage that memorises labels gives the second nothing but scores of pairs it never saw."""
    fit_cascade(cascade(Memory(name="one"), Memory(name="two")), data_of(many), tmp_path, Context())
    second = [data for data in trainer.given if data.matrix.names == ("stage.one",)]
    assert second
    for data in second:
        assert (data.matrix.column("stage.one") == NEVER_SEEN).all()


def test_the_kept_model_learns_from_everything(
    many: Collection, trainer: MemoryTrainer, tmp_path: Path
) -> None:
    """The files of a stage are those of a fit on all queries."""
    fit_cascade(cascade(Memory(name="one")), data_of(many), tmp_path, Context())
    assert len(json.loads((tmp_path / "one" / "labels.json").read_text())) == 480


def test_folds_hold_whole_groups(many: Collection, trainer: MemoryTrainer) -> None:
    """No fold's model was fitted on a query of a held-out group, and all queries are scored."""
    data = data_of(many)
    shared = StageData(data.batch, data.matrix, data.labels, np.arange(60) // 4)
    scores, scored = out_of_fold(Memory(name="one"), shared, Context())
    assert scored.all()
    assert (scores == NEVER_SEEN).all()
    seen: list[set[int]] = [set(part.groups.tolist()) for part in trainer.given]
    for part, groups in zip(trainer.given, seen, strict=True):
        assert sum(np.isin(shared.groups, list(groups))) == len(part.groups)


def test_next_stage_learns_from_survivors(many: Collection, trainer: MemoryTrainer, tmp_path: Path) -> None:
    """`keep` cuts by the out-of-fold order: the second stage is given 3 rows a query, not 8."""
    fitted = fit_cascade(
        cascade(Memory(name="one", keep=3), Memory(name="two")), data_of(many), tmp_path, Context()
    )
    second = [data for data in trainer.given if data.matrix.names == ("stage.one",)]
    assert np.diff(second[0].batch.offsets).tolist() == [3] * 60
    assert fitted[0].standing.survivors.tolist() == [3] * 60
    assert sorted(fitted[1].standing.order.tolist()) == list(range(480))


def test_a_stage_that_learns_nothing_scores_everything(
    many: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not look at labels is fitted once and scores all rows with that."""
    found = MemoryTrainer(learns=False)
    monkeypatch.setattr(fitting, "trainer_of", lambda spec: found)
    scores, scored = out_of_fold(Memory(name="one"), data_of(many), Context(), np.ones(60, bool))
    assert scored.all()
    assert len(found.given) == 1
    assert (scores != NEVER_SEEN).all()


def test_scoring_without_learning_shows_that_it_moves(
    many: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores come in many steps, in the rows that they are of."""
    told: list[tuple[str, int | None]] = []

    def track(work: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
        told.append((description, total))
        return work

    monkeypatch.setattr(fitting, "trainer_of", lambda spec: MemoryTrainer(learns=False))
    data = data_of(many)
    scores, _ = out_of_fold(Memory(name="one"), data, Context(track=track))
    assert told == [("one: scores", fitting.SCORING_STEPS)]
    np.testing.assert_array_equal(scores, data.labels)


def test_held_out_metrics_leave_out_what_was_learned(
    many: Collection, trainer: MemoryTrainer, tmp_path: Path
) -> None:
    """A lone memorising stage is judged on one held-out fold, where it is no better than the input order."""
    data = data_of(many)
    fitted = fit_cascade(cascade(Memory(name="one")), data, tmp_path, Context())
    assert fitted[0].scored.sum() == 12
    metrics = held_out(data.batch, fitted, many.grades)
    assert metrics["one"] == metrics["input"]
    assert metrics["one"]["nDCG@10"] < 0.99


def test_folds_that_nobody_reads_are_not_fitted(
    many: Collection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before a stage that learns nothing one fold is enough, and that stage scores no query beside it."""
    learner, plain = MemoryTrainer(), MemoryTrainer(learns=False)
    monkeypatch.setattr(fitting, "trainer_of", lambda spec: learner if spec.name == "one" else plain)
    data = data_of(many)
    fitted = fit_cascade(cascade(Memory(name="one"), Memory(name="two")), data, tmp_path, Context())
    assert len(learner.given) == 2
    assert fitted[0].scored.sum() == 12
    assert (fitted[1].scored == fitted[0].scored).all()
    assert set(held_out(data.batch, fitted, many.grades)) == {"input", "one", "two"}


def test_without_figures_the_last_stage_is_fitted_once(
    many: Collection, trainer: MemoryTrainer, tmp_path: Path
) -> None:
    """Earlier stages keep their folds, which later ones learn from; the last one's scores nobody reads."""
    data = data_of(many)
    context = Context(figures=False)
    fitted = fit_cascade(cascade(Memory(name="one"), Memory(name="two")), data, tmp_path, context)
    assert len([given for given in trainer.given if given.matrix.names]) == 1
    assert not fitted[1].scored.any()
    assert set(held_out(data.batch, fitted, many.grades)) == {"input", "one"}


def test_each_fit_has_a_work_folder_of_its_own(
    many: Collection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kept model's and each fold's state never meet."""
    found: list[Path | None] = []

    class Noting(MemoryTrainer):
        def fit(self, spec: Any, data: StageData, directory: Path, context: Context) -> Mapping[str, Any]:
            found.append(context.work)
            return super().fit(spec, data, directory, context)

    noting = Noting()
    monkeypatch.setattr(fitting, "trainer_of", lambda spec: noting)
    context = Context(work=tmp_path / "work")
    fit_cascade(cascade(Memory(name="one")), data_of(many), tmp_path / "files", context)
    assert found == [tmp_path / "work" / "one" / name for name in ("whole", "fold-0")]


def test_folds_come_from_the_stage_table() -> None:
    """`train.folds` of a stage says how many folds there are; 5 where there is no such table."""
    from training.trainers import folds_wanted

    spec: Any = SimpleNamespace(train=SimpleNamespace(folds=3))
    assert folds_wanted(spec) == 3
    assert folds_wanted(Memory(name="x")) == 5
