"""Borrowing: base, own and borrowed rankers of tenants cut from `msrd`, by how many judged queries they have.

A tenant is a few kindred main genres: the first one of the relevant movies of a query. Queries that share a
relevant movie are a group, go together, and count as at most twenty, so that no set of near-duplicates rules.
The base of a tenant has learned from the train queries of all other tenants, and from none of its own. Of its
own queries (train and dev together), whole groups drawn by the seed are what evidence is taken from, in
nested samples of 0, 10, 30, … queries; the other groups judge. A tenant that has fewer queries is left out of
the larger sizes. Features are those of `examples/msrd.toml`, computed once; what they know of words is the
whole corpus's, for all three.

`base`, `own`, `borrowed`: nDCG@10 on the judging queries, the mean over all queries of all tenants and seeds.
`borrowed` is `against best of base and own`, the one with the higher mean at that size; `p` is of a paired
randomisation test between them, in which the queries of a group are swapped together. Nobody has an own
ranker with 0 queries. `chosen`: how often each kind was, over tenants and seeds, in per cent.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.harness import Row, data_folder
from benchmarks.unbiased import judged_rows
from cascade.config import CascadeConfig, parse_config
from cascade.files import read_text
from cascade.pipeline import Step
from cascade.stages.lambdamart import MODEL, LambdaMart, LambdaMartTraining
from features.batch import CandidateBatch
from features.columns import Doubles, Flags, Rows
from training.borrowing import residual
from training.borrowing.choose import Choice, Contest, Settings, choose
from training.borrowing.jury import Jury
from training.borrowing.orders import Scored, score_by
from training.borrowing.own import Own
from training.collection import Collection
from training.dataset import StageData
from training.judgments import Grades
from training.lambdamart import label_gains, parameters, train
from training.publish import Task, prepare
from training.significance import compare
from training.sources import open_collection
from training.split import groups_of
from training.trainers import Context

SHORT = False
SIZES = (0, 10, 30, 100, 300, 1_000)
SEEDS = 3
TENANTS = {
    "action": ("action",),
    "family": ("adventure", "animation", "children", "fantasy", "family"),
    "drama": ("drama", "crime", "documentary", "war", "western", "history"),
    "comedy": ("comedy", "romance", "musical", "music"),
    "horror": ("horror", "mystery", "thriller", "sci-fi", "science fiction"),
}
MOST_OF_A_GROUP = 20
ENOUGH = 1_300
"""A tenant with so many queries can spare a thousand of them; of another seven tenths are evidence."""
BASE = LambdaMartTraining(trees=100, learning_rate=0.1, early_stopping=0)
OWN = LambdaMartTraining(trees=100, learning_rate=0.1, min_in_leaf=10, early_stopping=0)
NAME = "trees"
KINDS = ("base", "own", "borrowed")
CONFIG = Path(__file__).parents[1] / "examples" / "msrd.toml"


@dataclass(frozen=True, eq=False)
class World:
    """`msrd` as features.

    Attributes:
        data: the queries of train, then those of dev, no more than some of a group.
        tenants: of every query. `train`: bool[q]: whether it is train's.
        grades: query → document → grade.
    """

    data: StageData
    tenants: Sequence[str]
    train: Flags
    grades: Grades

    def of(self, tenant: str) -> StageData:
        """A tenant's queries."""
        return self.data.queries(np.flatnonzero(np.array(self.tenants) == tenant))

    def base(self, tenant: str, folder: Path) -> Step:
        """A ranker of all other tenants' train queries."""
        others = np.flatnonzero(self.train & (np.array(self.tenants) != tenant))
        return fitted(self.data.queries(others), BASE, folder)


@dataclass(frozen=True, slots=True)
class Cell:
    """One tenant with so many queries, drawn by a seed: nDCG@10 of each kind, query by query."""

    size: int
    tenant: str
    chosen: str
    values: Mapping[str, Doubles]
    groups: Rows


def run(own: Sequence[str] = ()) -> Iterator[Row]:
    """Every tenant, seed and size. `--seeds N`, `--tenants NAME …`: fewer of them."""
    parser = argparse.ArgumentParser("borrowing")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--tenants", nargs="+", default=list(TENANTS), choices=TENANTS)
    asked = parser.parse_args(own)
    folder = data_folder("msrd")
    if folder is None:
        return
    world = read_world(folder)
    cells = [cell for tenant in asked.tenants for cell in cells_of(world, tenant, range(asked.seeds))]
    for size in sorted({cell.size for cell in cells}):
        yield from rows(size, [cell for cell in cells if cell.size == size])


def read_world(folder: Path) -> World:
    """Train and dev of msrd as the features of `examples/msrd.toml`, and the tenant of every query."""
    declared = parse_config(read_text(CONFIG))
    config = replace(declared, stages=declared.stages[:1])
    collection, other = open_collection(folder, "train"), open_collection(folder, "dev")
    features, train, _ = prepare(Task(config, collection, "judged"), Context())
    dev = judged_rows(features, other)
    dev = replace(dev, groups=groups_of(dev.batch.queries, other.grades)[0] + train.groups.max() + 1)
    return world_of(joined(train, dev), len(train.groups), collection, {**collection.grades, **other.grades})


def world_of(data: StageData, trained: int, collection: Collection, grades: Grades) -> World:
    """The world of some queries, the first `trained` of which are train's; each group thinned."""
    random = np.random.default_rng(0)
    order = random.permutation(len(data.groups))
    place = np.empty(len(order), np.int64)
    by_group = order[np.argsort(data.groups[order], kind="stable")]
    _, starts, sizes = np.unique(data.groups[by_group], return_index=True, return_counts=True)
    place[by_group] = np.arange(len(order)) - np.repeat(starts, sizes)
    kept = np.flatnonzero(place < MOST_OF_A_GROUP)
    thinned = data.queries(kept)
    return World(thinned, tenants_of(collection, thinned), kept < trained, grades)


def tenants_of(collection: Collection, data: StageData) -> list[str]:
    """The tenant of every query, by the first genre of most of its group's relevant movies; "" = none."""
    movies, owner = collection.documents, data.batch.query_of_row
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    named = {genre: tenant for tenant, genres in TENANTS.items() for genre in genres}
    for row in np.flatnonzero(data.labels > 0).tolist():
        genres = movies.rows[movies.ids[data.batch.ids[row]]].get("genres") or [""]
        counts[int(data.groups[owner[row]])][genres[0].casefold()] += 1
    main = {group: count.most_common(1)[0][0] for group, count in counts.items()}
    return [named.get(main.get(group, ""), "") for group in data.groups.tolist()]


def fitted(data: StageData, training: LambdaMartTraining, folder: Path) -> Step:
    """A ranker of one stage, loaded as it would serve."""
    spec = LambdaMart(name=NAME, train=training)
    names = data.matrix.names
    folder.mkdir(parents=True)
    train(data, names, parameters(training, label_gains(data, training)), training.trees).save_model(
        folder / MODEL
    )
    return Step(spec, spec.load(folder, names))


def cells_of(world: World, tenant: str, seeds: Sequence[int]) -> Iterator[Cell]:
    """Every size and seed of one tenant."""
    with TemporaryDirectory() as folder:
        base = world.base(tenant, Path(folder) / "base")
        for seed in seeds:
            pool, judges = drawn(world.of(tenant), seed)
            for size in SIZES:
                if size <= len(pool.groups):
                    where = Path(folder) / f"{seed}-{size}"
                    yield cell(
                        tenant, base, (pool.queries(np.arange(size)), judges), world.grades, seed, where
                    )
            print(
                f"{tenant}, seed {seed}: {len(pool.groups)} queries, {len(judges.groups)} judge", flush=True
            )


def drawn(data: StageData, seed: int) -> tuple[StageData, StageData]:
    """A tenant's evidence in the order in which it comes, and the queries that judge: whole groups each."""
    random = np.random.default_rng(seed)
    wanted = SIZES[-1] if len(data.groups) >= ENOUGH else 0.7 * len(data.groups)
    names, sizes = np.unique(data.groups, return_counts=True)
    order = random.permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order]
    taken = np.isin(data.groups, names[order[before < wanted]])
    return data.queries(random.permutation(np.flatnonzero(taken))), data.queries(np.flatnonzero(~taken))


def joined(one: StageData, other: StageData) -> StageData:
    """The queries of both, by features and labels alone."""
    offsets = np.concatenate([one.batch.offsets, other.batch.offsets[1:] + one.batch.offsets[-1]])
    batch = CandidateBatch(
        one.batch.queries + other.batch.queries, [*one.batch.ids, *other.batch.ids], offsets
    )
    values = np.concatenate([one.matrix.values, other.matrix.values])
    matrix = replace(one.matrix, values=values, offsets=offsets)
    labels = np.concatenate([one.labels, other.labels])
    return StageData(batch, matrix, labels, np.concatenate([one.groups, other.groups]))


def cell(
    tenant: str, base: Step, data: tuple[StageData, StageData], grades: Grades, seed: int, folder: Path
) -> Cell:
    """One tenant with some evidence: the three rankers on the queries that judge."""
    evidence, judges = data
    own = Own(CascadeConfig((), (LambdaMart(name=NAME, train=OWN),), ""), evidence)
    contest = Contest(score_by([base], evidence), base.stage.reads, BASE, own, grades)
    choice = choose(contest, Settings(), Context(seed))
    jury, over = Jury.of(grades, judges), score_by([base], judges)
    assert jury is not None
    values = {"base": jury.measure(over, over.scores)}
    if len(evidence.groups):
        alone = score_by([fitted(evidence, OWN, folder)], judges)
        values["own"] = jury.measure(alone, alone.scores)
    values["borrowed"] = (
        values[choice.kind] if choice.kind != "residual" else with_residual(contest, choice, over, jury)
    )
    return Cell(len(evidence.groups), tenant, choice.kind, values, jury.groups)


def with_residual(contest: Contest, choice: Choice, over: Scored, jury: Jury) -> Doubles:
    """nDCG@10 of base + residual as it would be published."""
    given, reads = contest.base.given, contest.reads or ()
    booster = residual.fit(
        given, contest.base.scores, reads, (Settings().boosting, contest.training), choice.trees
    )
    grown = residual.predict(booster, over.given.matrix.select(reads), choice.trees)
    return jury.measure(over, over.scores + choice.weight * grown)


def rows(size: int, cells: Sequence[Cell]) -> Iterator[Row]:
    """The figures of one size."""
    case = f"{size:,} queries"
    kinds = [kind for kind in KINDS if all(kind in cell.values for cell in cells)]
    means = {kind: float(np.concatenate([cell.values[kind] for cell in cells]).mean()) for kind in kinds}
    best = max((kind for kind in kinds if kind != "borrowed"), key=lambda kind: means[kind])
    for kind in kinds[:-1]:
        yield Row(case, f"nDCG@10, {kind}", means[kind], "")
    yield Row(case, "nDCG@10", means["borrowed"], "", "best of base and own", means["borrowed"] / means[best])
    summed = {kind: by_group(cells, kind) for kind in ("borrowed", best)}
    yield Row(case, "difference", means["borrowed"] - means[best], "nDCG@10", best)
    yield Row(
        case, "p of the difference", compare(summed["borrowed"], summed[best], best, 7).p_value, "", best
    )
    for kind, count in Counter(cell.chosen for cell in cells).items():
        yield Row(case, f"chosen, {kind}", 100 * count / len(cells), "%")


def by_group(cells: Sequence[Cell], kind: str) -> Doubles:
    """float64[groups]: sums over a group's queries, so that a test swaps a group as one."""
    values = np.concatenate([cell.values[kind] for cell in cells])
    named = np.concatenate([[f"{cell.tenant} {group}" for group in cell.groups] for cell in cells])
    _, owner = np.unique(named, return_inverse=True)
    return np.bincount(owner, values).astype(np.float64)
