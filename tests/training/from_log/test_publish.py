"""From a log to a published version: what is learned, kept, refused and told."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.eventlog.testing import START_S, write_segment
from cascade.eventlog.windows import written
from cascade.events import MICROS, Event
from cascade.manifest import read_manifest
from cascade.testing import NOON, candidates
from features.columns import number
from training.drift import read_profiles
from training.from_log.scale import write_scaled
from training.from_log.testing import TENANT, THETA, TREES, Market, clicks

Shop = Any
Opening = Callable[..., Any]
MINUTE = 60.0


def manifest(shop: Shop, version: str) -> dict[str, Any]:
    """The data of a version's manifest."""
    found: dict[str, Any] = read_manifest(shop.store.path(TENANT, "default", version)).manifest.data
    return found


@pytest.mark.parametrize(
    ("kind", "gained"), [("ips", 0.2), ("joint", 0.08), ("position", 0.08), ("pooled", 0.1)]
)
def test_every_kind_of_unbiased_training_beats_raw_clicks(shop: Shop, kind: str, gained: float) -> None:
    """Where fame puts documents on top, and people like what is cheap, raw clicks learn to like fame."""
    raw, _ = shop.train(unbiased="none")
    fair, learned = shop.train(unbiased=kind)
    assert shop.tau(fair) > shop.tau(raw) + gained
    assert learned.seen.method == "interventions"


def test_the_manifest_tells_where_the_labels_came_from(shop: Shop) -> None:
    """Window, counts, curve with its interval, settings, held-out figure, and the profile of the features."""
    version, learned = shop.train(resamples=40)
    data = manifest(shop, version)
    assert data["data_window"]["since"] == written(START_S * MICROS)
    assert (data["log"]["pages"], data["log"]["used_pages"]) == (1_500, 1_500)
    assert data["log"]["joined"] == data["log"]["interactions"]
    model = data["click_model"]
    assert model["method"] == "interventions"
    known = zip(model["low"], THETA, model["high"], strict=True)
    assert sum(low <= truth <= high for low, truth, high in known) >= 5
    assert data["examination"] == model["propensity"]
    assert data["learning"]["unbiased"] == "ips"
    assert data["base"] == shop.version
    assert set(read_profiles(data)) == {"price", "fame"}
    metrics = read_manifest(shop.store.path(TENANT, "default", version)).manifest.metrics
    assert metrics == {"nDCG@10 by clicks (IPS)": learned.measured}
    assert learned.measured > learned.as_shown
    assert shop.store.promotion(TENANT, "default").version == shop.version


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 30), batch=st.integers(1, 400))
def test_order_repetition_and_batches_of_events_do_not_matter(
    opening: Opening, seed: int, batch: int
) -> None:
    """The same events in any order, some twice, in any batches, give the same model, byte by byte."""
    shop = opening()
    events = clicks(shop.market, 300)
    shop.log(events, "plain")
    drawn = random.Random(seed)
    mixed: list[Event] = [*events, *drawn.sample(events, 60)]
    drawn.shuffle(mixed)
    half = len(mixed) // 3
    for some in (mixed[:half], mixed[half:]):
        write_segment(shop.root / "mixed", some, batch=batch, tenant=TENANT)
    models = []
    for log in ("plain", "mixed"):
        version, _ = shop.train(log=log, least_clicks=20)
        stage = shop.store.path(TENANT, "default", version) / "stages" / "lambdamart" / "model.txt"
        models.append(stage.read_bytes())
    assert models[0] == models[1]


def test_scheduled_training_goes_on_where_the_last_one_ended(opening: Opening) -> None:
    """`last` begins at the promoted bundle's end; pages of both windows are counted once."""
    shop = opening()
    shop.log(clicks(shop.market, 1_200, every_s=MINUTE))
    middle = written((START_S + 700 * 60) * MICROS)
    first, _ = shop.train(until=middle)
    shop.store.promote(TENANT, "default", first)
    second, _ = shop.train(since="last")
    data = [manifest(shop, version) for version in (first, second)]
    assert [each["log"]["pages"] for each in data] == [700, 500]
    assert data[1]["data_window"]["since"] == data[0]["data_window"]["until"] == middle
    assert data[1]["base"] == first


def test_going_on_is_kept_where_it_is_better(opening: Opening) -> None:
    """A few pages more go on from what thousands taught; the window then begins with those."""
    shop = opening()
    shop.log(clicks(shop.market, 3_000, every_s=MINUTE))
    first, _ = shop.train(until=written((START_S + 2_600 * 60) * MICROS))
    shop.store.promote(TENANT, "default", first)
    version, learned = shop.train(since="last", go_on=True, least_clicks=50)
    tried = learned.stages[0].fit["held_out"]
    assert learned.stages[0].how == "continued"
    assert tried["continued"] > tried["scratch"] - 0.05
    assert 0.2 < tried["scale"] < 3
    assert manifest(shop, version)["data_window"]["since"] == written(START_S * MICROS)
    trees = [shop.ranker(one).steps[0].stage.booster.num_trees() for one in (first, version)]
    assert trees[1] == trees[0] + learned.stages[0].fit["trees"]


def test_going_on_is_dropped_where_it_is_worse(opening: Opening) -> None:
    """A promoted model that learned the opposite is told, and left."""
    shop = opening()
    wrong = Market(shop.market.price, shop.market.fame, 0.05 + 0.65 * shop.market.price**2)
    shop.log(clicks(wrong, 1_500), "wrong")
    first, _ = shop.train(log="wrong", weights={"click": 1.0})
    shop.store.promote(TENANT, "default", first)
    shop.log(clicks(shop.market, 1_000))
    version, learned = shop.train(go_on=True)
    assert learned.stages[0].how == "learned"
    assert any("does not agree with the clicks of this log" in note for note in learned.notes)
    assert shop.tau(version) > 0.5


def test_going_on_from_what_is_no_model_is_told(shop: Shop) -> None:
    """The promoted stage is weighed by hand, so that there is nothing to grow."""
    _, learned = shop.train(go_on=True)
    assert learned.stages[0].how == "learned"
    assert any("no LambdaMART stage" in note for note in learned.notes)


def test_growing_on_does_not_sink_what_was_shown_below_what_never_was(opening: Opening) -> None:
    """A model far surer than clicks are is brought to their scale; its order of all documents is kept."""
    shop = opening()
    version, _ = sure_model(shop)
    shop.log(clicks(shop.market, 1_200, queries=5))
    grown, learned = shop.train(go_on=True)
    assert learned.stages[0].fit["held_out"]["scale"] < 0.1
    assert learned.stages[0].how == "continued"
    assert shop.tau(grown) > shop.tau(version) - 0.1 > 0.7


def sure_model(shop: Shop) -> Any:
    """A promoted model of many noiseless clicks, its leaves made twenty times as sure."""
    shop.log(clicks(shop.market, 3_000, noise=5.0), "sure")
    version, learned = shop.train(log="sure", propensities=tuple(THETA.tolist()))
    bundle = shop.store.path(TENANT, "default", version)
    files = shop.root / "files" / "lambdamart"
    files.mkdir(parents=True)
    write_scaled(bundle / "stages" / "lambdamart" / "model.txt", 20.0, files / "model.txt")
    config = parse_config(TREES)
    golden = candidates(["a", "b"], {"price": number([0.1, 0.5]), "fame": number([0.2, 0.9])})
    draft = Draft("default", config, config.feature_set(), files.parent, golden)
    write_bundle(shop.root / "sure-bundle", draft, NOON)
    sure = shop.store.publish(TENANT, "default", shop.root / "sure-bundle")
    shop.store.promote(TENANT, "default", sure)
    return sure, learned


def test_auto_weighs_by_propensities_only_where_the_log_tells_them(opening: Opening) -> None:
    """Fixed pages of queries that hardly repeat tell none: pairs are estimated jointly, and that is told."""
    shop = opening()
    shop.log(clicks(shop.market, 600, noise=0.0, queries=500))
    _, fixed = shop.train(least_clicks=50)
    assert fixed.data["learning"]["unbiased"] == "joint"
    assert fixed.seen.method == "regression_em"
    assert any("does not tell position bias" in note for note in fixed.notes)
    shop.log(clicks(shop.market, 1_500), "moved")
    _, moved = shop.train(log="moved")
    assert (moved.data["learning"]["unbiased"], moved.data["learning"]["asked"]) == ("ips", "auto")
