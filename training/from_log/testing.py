"""A made-up shop for tests: people like what is cheap, and what serves shows what is famous first."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.eventlog.testing import START_S, done, matrix, shown
from cascade.events import MICROS, Event
from cascade.store import DirectoryStore
from cascade.testing import NOON, candidates
from features.columns import Doubles, number
from features.featureset import FeatureSet

TENANT = "shop"
FEATURES = """
log = true

[[features]]
name = "price"
kind = "numeric"
field = "price"

[[features]]
name = "fame"
kind = "numeric"
field = "fame"
"""
SERVING = FEATURES + '\n[[stages]]\nkind = "linear"\nweights = { fame = 1.0 }\n'
TREES = (
    FEATURES
    + """
[[stages]]
kind = "lambdamart"

[stages.train]
trees = 40
leaves = 4
min_in_leaf = 5
early_stopping = 8
learning_rate = 0.2
feature_fraction = 1.0
"""
)
THETA = np.array([1.0, 0.6, 0.4, 0.25, 0.15, 0.1])
START_US = START_S * MICROS


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Documents `d0`, `d1`, …

    Attributes:
        price, fame: float64[d], 0 to 1.
        appeal: float64[d]: P(click | seen); falls with the price alone.
    """

    price: Doubles
    fame: Doubles
    appeal: Doubles

    @classmethod
    def of(cls, documents: int = 80, seed: int = 3) -> "Market":
        """Prices and fame that have nothing to do with each other."""
        random = np.random.default_rng(seed)
        price, fame = random.random((2, documents))
        return cls(price, fame, 0.05 + 0.65 * (1 - price) ** 2)

    def columns(self) -> dict[str, Doubles]:
        """What features read."""
        return {"price": self.price, "fame": self.fame}


def features() -> FeatureSet:
    """Of all configs here."""
    return parse_config(SERVING).feature_set()


def serving(root: Path, config: str = SERVING) -> tuple[DirectoryStore, str]:
    """A store in which a ranker by fame serves the tenant; its version."""
    parsed = parse_config(config)
    golden = candidates(["a", "b", "c"], {"price": number([0.1, 0.5, 0.9]), "fame": number([0.2, 0.9, 0.4])})
    write_bundle(root / "bundle", Draft("default", parsed, parsed.feature_set(), root / "none", golden), NOON)
    store = DirectoryStore(root / "store")
    version = store.publish(TENANT, "default", root / "bundle")
    store.promote(TENANT, "default", version)
    return store, version


def clicks(
    market: Market, pages: int, *, noise: float = 0.2, seed: int = 1, every_s: float = 60.0, queries: int = 40
) -> list[Event]:
    """Pages of six documents by fame and some noise, a page every so many seconds from `START_S` on.

    People look at places by `THETA`, and click by what they see. One click in five is a purchase too.
    """
    random = np.random.default_rng(seed)
    made: list[Event] = []
    print_, names = features().fingerprint, features().names
    for page in range(pages):
        asked = int(random.integers(queries))
        some = (asked * 7 + random.choice(20, len(THETA), replace=False)) % len(market.price)
        order = some[np.argsort(-(market.fame[some] + noise * random.standard_normal(len(some))))]
        ids, at_s = [f"d{one}" for one in order], page * every_s
        values = matrix(np.stack([market.price[order], market.fame[order]], axis=1))
        made.append(
            shown(
                f"r{page}", *ids, at_s=at_s, user=f"u{page % 211}", query=f"query {asked}", ranker="default",
                version="v1", features=values, names=names, fingerprint=print_,
            )
        )  # fmt: skip
        for place in np.flatnonzero(random.random(len(order)) < THETA * market.appeal[order]):
            made.append(done(f"{page}c{place}", f"r{page}", ids[place], at_s + 5))
            if random.random() < 0.2:
                made.append(done(f"{page}p{place}", f"r{page}", ids[place], at_s + 9, type="PURCHASE"))
    return made


def agreement(scores: Doubles, market: Market) -> float:
    """Kendall's tau of some scores of all documents and what people truly like."""
    from scipy.stats import kendalltau

    return float(kendalltau(scores, market.appeal).statistic)
