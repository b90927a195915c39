"""Unbiased training: how much of the way from a production ranker to one of all true labels clicks bring.

Simulated clicks over `msrd` train. A LambdaMART trained on the true labels of 1 % of the queries ranks every
query's candidates; users see its top ten, in which one place drawn at random goes to a candidate from below
(exploration: a tenth of what is shown), and click. From the clicks alone rankers are trained, and judged with
true labels on `msrd` dev.

How far users look follows click models fitted by EM on the real pages of `yandex_clicks`, and how they click
on what is relevant and what is not `trec_session2013` at its first position (.64 and .22); the figures stand
in `training/simulate/constants.py`. Cases:

- `pbm`: the position-based model.
- `trust-bias`: what stands first is clicked also because it stands there (35 % of those who look, falling).
- `mismatch`: users follow the user browsing model, where clicks hang on clicks; what is fitted knows nothing
  of that. UBM is kin to the position-based model: looking hangs on rank and the last click.
- `mismatch-dbn`: users read down and stop when satisfied (DBN, persistence .95). What stands below a good
  document is then hardly seen, page after page the same: the case where `latent` is known to fail. The
  DBN's own relevance as gains is beside it.

`raw clicks`: click rates as gains. `sluice`: relevant or not by the rates of relevant and of other
documents at every rank, found by EM from repeated clicks (`latent`); what clicks leave in doubt is left
out, and nothing of the truth is used. `recovered`: (nDCG - production) / (all labels - production), in per
cent. nDCG@10 is the mean of as many trainings as `SEEDS`, since one alone differs by ±.002 from the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.harness import Row, data_folder
from cascade.config import parse_config
from cascade.files import read_text
from cascade.stages.lambdamart import LambdaMartTraining
from features.columns import Floats, Rows
from features.featureset import FeatureSet
from training.candidates import judged
from training.clicks import relevance
from training.clicks.cells import Cells, gather
from training.clicks.dbn import DynamicBayesian
from training.clicks.impressions import NOTHING, Flags, joined
from training.clicks.latent import LatentRelevance, fit_latent
from training.clicks.pairs import Pairs
from training.clicks.position_based import ranks
from training.clicks.unbiased import decided, graded, page_by_page, with_gains
from training.collection import Collection
from training.dataset import StageData, build_batch, compute, labels_of
from training.fit import lists_of
from training.lambdamart import label_gains, parameters, train
from training.metrics import NDCG, Conventions, Judge
from training.publish import Task, prepare
from training.simulate.constants import BROWSING, POSITION_BIAS, TRUST
from training.simulate.log import Behaviour, Ranked, SimulatedLog, slotted
from training.simulate.users import BrowsingUsers, PositionBasedUsers, ReadingUsers, TrustingUsers
from training.sources import open_collection
from training.standing import Standing
from training.trainers import Context

SHORT = False
SEED = 17
SEEDS = (7, 8)
PAGES = 5_000_000
ORDERS = 40
SINGLE_PAGES = 20_000
DEPTH = 10
PERSISTENCE = 0.95
READERS = "mismatch-dbn"
TRAINING = LambdaMartTraining(trees=120, early_stopping=0)
CONFIG = Path(__file__).parents[1] / "examples" / "msrd.toml"
CASES = {
    "pbm": Behaviour(PositionBasedUsers(POSITION_BIAS)),
    "trust-bias": Behaviour(TrustingUsers(POSITION_BIAS, TRUST)),
    "mismatch": Behaviour(BrowsingUsers(BROWSING)),
    READERS: Behaviour(ReadingUsers(PERSISTENCE)),
}


@dataclass(frozen=True, eq=False)
class World:
    """The collection as features, and how rankers are judged.

    Attributes:
        data: train, with true labels.
        dev: the rows that rankers are judged on; `judge` knows their labels.
        production: bool[q]: the queries whose labels the production ranker had.
    """

    data: StageData
    dev: StageData
    judge: Judge
    production: Flags

    def scored(self, data: StageData, training: LambdaMartTraining, over: StageData) -> Floats:
        """Scores of the rows of `over` by a LambdaMART of `data`."""
        names = data.matrix.names
        booster = train(data, names, parameters(training, label_gains(data, training)), training.trees)
        return np.asarray(booster.predict(over.matrix.values, num_threads=1), np.float32)

    def ndcg(self, data: StageData, training: LambdaMartTraining) -> float:
        """nDCG@10 on dev, the mean over the seeds."""
        found = []
        for seed in SEEDS:
            scores = self.scored(data, msgspec.structs.replace(training, seed=seed), self.dev)
            standing = Standing.as_sent(self.dev.batch.offsets).scored(scores, None)
            found.append(self.judge.measure(lists_of(self.dev.batch, standing)).means()[NDCG])
        return float(np.mean(found))


def run() -> Iterator[Row]:
    """The production ranker and that of all labels, then every case."""
    folder = data_folder("msrd")
    if folder is None:
        return
    world = read_world(folder)
    had = world.data.queries(np.flatnonzero(world.production))
    start, end = world.ndcg(had, TRAINING), world.ndcg(world.data, TRAINING)
    yield Row("all", "nDCG@10, production (1 % of labels)", start, "")
    yield Row("all", "nDCG@10, all true labels", end, "")
    ranked = shown(world, world.scored(had, TRAINING, world.data))
    for case, behaviour in CASES.items():
        log = SimulatedLog(ranked.explored, behaviour, PAGES, SEED)
        found = list(rankers(world, log))
        if case == "pbm":
            found += alternatives(world, log, SimulatedLog(ranked.fixed, behaviour, PAGES, SEED))
        if case == READERS:
            found.append(("the DBN's own relevance as gains", by_readers(world, log)))
        for name, value in found:
            yield Row(case, f"nDCG@10, {name}", value, "", "all true labels", value / end)
            measure = "recovered" if name == "sluice" else f"recovered, {name}"
            yield Row(case, measure, 100 * (value - start) / (end - start), "%")


def read_world(folder: Path) -> World:
    """Train and dev of msrd as the features of `examples/msrd.toml`; 1 % of the queries drawn by the seed."""
    declared = parse_config(read_text(CONFIG))
    config = replace(declared, stages=declared.stages[:1])
    features, data, _ = prepare(Task(config, open_collection(folder, "train"), "judged"), Context())
    dev = open_collection(folder, "dev")
    count = len(data.batch.queries)
    production = np.isin(
        np.arange(count), np.random.default_rng(SEED).choice(count, count // 100, replace=False)
    )
    judge = Judge.of(dev.grades, (10,), Conventions())
    return World(data, judged_rows(features, dev), judge, production)


def judged_rows(features: FeatureSet, dev: Collection) -> StageData:
    """The judged candidates of dev."""
    batch = build_batch(dev, judged(dev), features.inputs)
    return StageData(
        batch, compute(features, batch), labels_of(batch, dev.grades), np.arange(len(batch.queries))
    )


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The production ranker's pages as they are, and with one place given to exploration."""

    fixed: Ranked
    explored: Ranked


def shown(world: World, scores: Floats) -> Shown:
    """What users are shown; a document's number is its row of train."""
    offsets, labels = world.data.batch.offsets, world.data.labels.astype(np.float64)
    queries, rows = np.arange(len(offsets) - 1), np.arange(len(labels))
    given = queries, offsets, rows, np.minimum(labels, 1.0), scores.astype(np.float64), DEPTH
    return Shown(Ranked.top(*given), slotted(*given, copies=ORDERS, seed=SEED))


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """Clicks counted, the rates behind them, and which row of train each pair is (-1: never shown)."""

    cells: Cells
    model: LatentRelevance
    rows: Rows
    pairs: Pairs

    @classmethod
    def of(cls, world: World, log: SimulatedLog) -> "Learnt":
        """One pass over a log."""
        owner = world.data.batch.query_of_row.astype(np.int64)
        every = Pairs((owner << 32) + np.arange(len(owner)))
        cells = gather(log, every, DEPTH, ranks)
        rows = np.where(cells.by_pair(cells.shown) > 0, every.document, NOTHING)
        return cls(cells, fit_latent(cells), rows, every)

    def ndcg(self, world: World) -> float:
        """Of Sluice's way: decided labels."""
        probability = relevance.latent(self.cells, self.model).value
        return world.ndcg(decided(world.data, self.rows, probability), TRAINING)


def rankers(world: World, log: SimulatedLog) -> Iterator[tuple[str, float]]:
    """(ranker, nDCG@10) of raw clicks and of Sluice."""
    learnt = Learnt.of(world, log)
    rates = relevance.raw(learnt.cells).value
    yield "raw clicks", world.ndcg(graded(world.data, learnt.rows, rates), with_gains(TRAINING))
    yield "sluice", learnt.ndcg(world)


def by_readers(world: World, log: SimulatedLog) -> float:
    """nDCG@10 by the model that such a log's users follow, which `choose.ranked_models` would name."""
    learnt = Learnt.of(world, log)
    relevance = DynamicBayesian().fit(log, learnt.pairs).relevance
    return world.ndcg(graded(world.data, learnt.rows, relevance), with_gains(TRAINING))


def alternatives(world: World, log: SimulatedLog, fixed: SimulatedLog) -> Iterator[tuple[str, float]]:
    """Other ways to learn: no exploration, gains for labels, and page by page from what LightGBM takes."""
    yield "sluice, no exploration", Learnt.of(world, fixed).ndcg(world)
    learnt = Learnt.of(world, log)
    pooled = relevance.inverse_propensity(learnt.cells, learnt.model.propensity).value
    gains = graded(world.data, learnt.rows, pooled)
    yield "inverse propensity as gains", world.ndcg(gains, with_gains(TRAINING))
    few = joined(replace(log, pages=SINGLE_PAGES)())
    single = page_by_page(world.data, few.documents, few, learnt.model.propensity)
    plain = replace(single, weights=None, positions=None)
    regular = msgspec.structs.replace(TRAINING, position_regularisation=0.1)
    for name, data, training in (
        ("raw", plain, TRAINING),
        ("inverse propensity", replace(single, positions=None), TRAINING),
        ("LightGBM's position bias", replace(single, weights=None), regular),
    ):
        yield f"{name}, {SINGLE_PAGES:,} single pages", world.ndcg(data, training)
