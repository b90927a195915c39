"""Click models: propensities against the truth, the curve of real clicks, held-out perplexity, seconds.

`recovered`: a million simulated pages (20,000 orders of 500 queries' documents), truth known. `curve` and
`perplexity`: the real pages of `yandex_clicks`, a fifth of them held out for perplexity; the curve's
interval resamples pages within its 20 queries and tells nothing of other queries.
"""

from collections.abc import Iterator
from time import process_time

import numpy as np

from benchmarks.harness import Row, data_folder
from training.clicks.browsing import UserBrowsing
from training.clicks.cells import gather
from training.clicks.counted import Cascade, SimplifiedDbn
from training.clicks.ctr import RankCtr
from training.clicks.dbn import DynamicBayesian
from training.clicks.em import Patience
from training.clicks.impressions import Impressions, Source, parts
from training.clicks.intervals import bootstrap
from training.clicks.interventions import Harvest
from training.clicks.latent import fit_latent
from training.clicks.model import judge
from training.clicks.pairs import Pairs
from training.clicks.position_based import PositionBased, ranks
from training.clicks.readers import read_yandex
from training.simulate.constants import POSITION_BIAS
from training.simulate.log import Behaviour, Ranked, SimulatedLog
from training.simulate.users import PositionBasedUsers

SHORT = False
SEED = 5
PAGES = 1_000_000
QUERIES, DOCUMENTS, ORDERS, DEPTH = 500, 20, 40, 10
RESAMPLES = 50
MODELS = (RankCtr(), PositionBased(), UserBrowsing(), Cascade(), SimplifiedDbn(), DynamicBayesian())


def run() -> Iterator[Row]:
    """Simulated pages, then the real ones where they are there."""
    log = simulated()
    pages = list(log())
    yield from recovered(lambda: pages)
    yield from speeds(lambda: pages)
    folder = data_folder("yandex_clicks")
    if folder:
        real = read_yandex(folder / "serps.train.gz")
        yield from curve(real)
        yield from perplexities(real)


def simulated() -> SimulatedLog:
    """Pages of queries whose documents three tenths are relevant, in many orders."""
    random = np.random.default_rng(SEED)
    relevant = random.random((QUERIES, DOCUMENTS)) < 0.3
    query = np.repeat(np.arange(QUERIES), ORDERS)
    taste = relevant[query] * 1.0 + random.normal(0, 1, (len(query), DOCUMENTS))
    documents = np.argsort(-taste, axis=1)[:, :DEPTH]
    grade = relevant[query[:, None], documents].astype(float)
    ranked = Ranked(query, documents, grade, np.full(len(query), 1 / len(query)), query * 0)
    return SimulatedLog(ranked, Behaviour(PositionBasedUsers(POSITION_BIAS)), PAGES, SEED)


def recovered(source: Source) -> Iterator[Row]:
    """The largest relative error of the propensities of three estimators."""
    pairs = Pairs.of(source)
    cells = gather(source, pairs, DEPTH, ranks)
    found = {
        "position_based (EM)": PositionBased().fit(source, pairs).propensity,
        "interventions (AllPairs)": Harvest.of(cells).propensity(),
        "latent relevance (EM)": fit_latent(cells).propensity,
    }
    for name, propensity in found.items():
        error = np.abs(propensity / POSITION_BIAS - 1).max()
        yield Row(f"simulated, {PAGES:,} pages", f"propensity error, {name}", 100 * float(error), "% at most")


def speeds(source: Source) -> Iterator[Row]:
    """Seconds of this process to fit a million pages, and how many pages that is a second."""
    pairs = Pairs.of(source)
    for model in MODELS:
        start = process_time()
        model.fit(source, pairs)
        taken = process_time() - start
        yield Row(f"simulated, {PAGES:,} pages", f"fit {model.name}", taken, "s of processor")


def curve(real: Impressions) -> Iterator[Row]:
    """θ_k / θ_1 of real clicks with its interval."""

    def propensity(pages: Impressions) -> np.ndarray:
        source = parts(pages)
        settings = PositionBased(patience=Patience(tolerance=1e-4, rounds=1_000))
        return settings.fit(source, Pairs.of(source)).propensity

    found = bootstrap(propensity, real, unit="page", resamples=RESAMPLES, seed=SEED)
    for rank in range(len(found.value)):
        interval = f"95 % interval {found.low[rank]:.3f} to {found.high[rank]:.3f}"
        yield Row(
            "yandex_clicks", f"propensity at {rank + 1}", float(found.value[rank]), "of the first", interval
        )


def perplexities(real: Impressions) -> Iterator[Row]:
    """Held-out perplexity of every model beside click rates by rank."""
    held = np.random.default_rng(SEED).random(len(real)) < 0.2
    learn, test = parts(real.take(~held)), parts(real.take(held))
    pairs = Pairs.of(learn)
    base: float | None = None
    for model in MODELS:
        verdict = judge(model.fit(learn, pairs), test)
        base = base or verdict.perplexity - 1
        ratio = base / (verdict.perplexity - 1)
        yield Row("yandex_clicks", f"perplexity, {model.name}", verdict.perplexity, "", "rank_ctr", ratio)
        yield Row("yandex_clicks", f"perplexity given clicks above, {model.name}", verdict.given_above, "")
        yield Row("yandex_clicks", f"log-likelihood a page, {model.name}", verdict.log_likelihood, "nats")
