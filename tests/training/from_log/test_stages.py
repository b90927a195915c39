"""Stages of a cascade that is learned from a log: learned, weighed, kept, or taken as declared."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.eventlog.testing import matrix
from cascade.events import Event, Impression
from cascade.manifest import open_bundle
from cascade.stages.embedded import embedded_model
from cascade.testing import NOON, candidates
from features.columns import number, text
from features.errors import NotReady
from features.transformer.model import copy_model
from training.from_log.testing import FEATURES, TENANT, TREES, clicks

Opening = Callable[..., Any]

READER = """
[[stages]]
kind = "cross_encoder"
fields = ["title"]
keep = 6
"""
LAST = """
[[stages]]
name = "last"
kind = "lambdamart"
features = [{features}]
train = {{ trees = 30, leaves = 4, min_in_leaf = 5, early_stopping = 8, learning_rate = 0.2 }}
"""


def with_scores(events: Sequence[Event], names: Sequence[str], scores: Callable[[Any], Any]) -> list[Event]:
    """The same events, their pages logged with further columns made of price and fame."""
    import msgspec

    made: list[Event] = []
    for event in events:
        if isinstance(event, Impression):
            values = np.frombuffer(event.features, "<f4").reshape(len(event.candidates), -1)
            wide = np.concatenate([values, scores(values)], axis=1)
            event = msgspec.structs.replace(event, features=matrix(wide), names=(*event.names, *names))
        made.append(event)
    return made


def noisy(values: Any, of: int) -> Any:
    """A column that tells what another one does, less exactly."""
    random = np.random.default_rng(len(values) + int(1e6 * values[0, 0]))
    return -values[:, [of]] + 0.05 * random.standard_normal((len(values), 1))


def promote_reader(shop: Any, config: str) -> str:
    """A bundle with a cross-encoder that reads titles serves."""
    parsed = parse_config(config)
    files = shop.root / "files"
    (files / "cross_encoder").mkdir(parents=True)
    copy_model(embedded_model(), files / "cross_encoder")
    columns = {
        "price": number([0.1, 0.5]),
        "fame": number([0.2, 0.9]),
        "title": text(["a red shoe", "a blue boat"]),
    }
    golden = candidates(["a", "b"], columns)
    write_bundle(shop.root / "reader", Draft("default", parsed, parsed.feature_set(), files, golden), NOON)
    version: str = shop.store.publish(TENANT, "default", shop.root / "reader")
    shop.store.promote(TENANT, "default", version)
    return version


def test_stages_that_read_texts_are_kept_and_later_ones_learn_from_their_logged_scores(
    opening: Opening,
) -> None:
    """The cross-encoder's files are the promoted ones, byte by byte; what it said of cheap things is used."""
    shop = opening()
    base = promote_reader(shop, FEATURES + '[[stages]]\nkind = "linear"\nweights = { fame = 1.0 }\n' + READER)
    events = clicks(shop.market, 1_200)
    shop.log(with_scores(events, ["stage.cross_encoder"], lambda values: noisy(values, 0)))
    last = LAST.format(features='"fame", "stage.cross_encoder"')
    first = TREES.replace('"lambdamart"', '"lambdamart"\nname = "first"\nkeep = 8')
    version, learned = shop.train(first + READER + last)
    assert [stage.how for stage in learned.stages] == ["learned", "carried", "learned"]
    bundles = [open_bundle(shop.store.path(TENANT, "default", one)) for one in (base, version)]
    kept = [
        {path: entry for path, entry in bundle.manifest.files.items() if "cross_encoder" in path}
        for bundle in bundles
    ]
    assert kept[0] == kept[1] != {}
    assert learned.stages[2].fit["gain"]["stage.cross_encoder"] > 0.5
    assert bundles[1].manifest.data["stages"]["cross_encoder"] == "carried"


def test_scores_that_were_not_logged_are_asked_for(opening: Opening) -> None:
    """A last stage that reads the cross-encoder's score cannot learn from pages without it."""
    shop = opening()
    promote_reader(shop, FEATURES + READER.replace("keep = 6", ""))
    shop.log(clicks(shop.market, 300))
    with pytest.raises(NotReady, match="no score of stage 'cross_encoder'"):
        shop.train(FEATURES + READER + LAST.format(features='"stage.cross_encoder"'), least_clicks=20)


def test_a_stage_that_reads_texts_has_to_come_from_somewhere(opening: Opening) -> None:
    """The promoted bundle has no cross-encoder: the way out is a collection."""
    shop = opening()
    shop.log(clicks(shop.market, 300))
    with pytest.raises(NotReady, match=r"\$.stages\[cross_encoder\].*from a collection first"):
        shop.train(TREES + READER, least_clicks=20)


def test_later_stages_learn_from_scores_that_did_not_see_the_clicks(opening: Opening) -> None:
    """A second LambdaMART reads the first one's new scores, out of fold, and not those that were logged."""
    shop = opening()
    events = clicks(shop.market, 1_500)
    shop.log(with_scores(events, ["stage.first"], lambda values: np.zeros((len(values), 1))))
    first = TREES.replace('"lambdamart"', '"lambdamart"\nname = "first"')
    version, learned = shop.train(first + LAST.format(features='"fame", "stage.first"'))
    assert [stage.how for stage in learned.stages] == ["learned", "learned"]
    assert learned.stages[1].fit["gain"]["stage.first"] > 0.5
    assert learned.stages[1].measured == pytest.approx(learned.stages[0].measured, abs=0.1)
    assert shop.ranker(version).steps[1].stage.reads == ("fame", "stage.first")


def test_weights_are_learned_with_gains_of_worth_over_propensity(opening: Opening) -> None:
    """A linear stage without weights finds that cheap is good and fame is nothing; raw clicks do not."""
    shop = opening()
    shop.log(clicks(shop.market, 2_500, noise=0.05))
    config = FEATURES + '[[stages]]\nkind = "linear"\n'
    fair, raw = (shop.train(config, unbiased=kind)[1].stages[0] for kind in ("ips", "none"))
    assert fair.how == "learned"
    weights = fair.fit["weights"]
    assert weights["price"] < -1
    assert abs(weights["fame"]) < 0.4 * abs(weights["price"])
    assert raw.fit["weights"]["fame"] > 2 * abs(weights["fame"])


def test_declared_stages_stay_as_declared(opening: Opening) -> None:
    """Weights by hand are computed, cost no clicks, and are read by what learns behind them."""
    shop = opening()
    shop.log(clicks(shop.market, 1_200))
    declared = FEATURES + '[[stages]]\nkind = "linear"\nweights = { price = -1.0 }\n'
    _, learned = shop.train(declared + LAST.format(features='"fame", "stage.linear"'))
    assert [stage.how for stage in learned.stages] == ["declared", "learned"]
    assert learned.stages[1].fit["gain"]["stage.linear"] > 0.5


def test_rows_that_a_stage_never_saw_are_not_held_against_them(opening: Opening) -> None:
    """What the logged cascade had cut before a stage is not among its candidates."""
    shop = opening()

    def halved(values: Any) -> Any:
        column = np.zeros((len(values), 1))
        column[3:] = np.nan
        return column

    shop.log(with_scores(clicks(shop.market, 1_500), ["stage.lambdamart"], halved))
    _, cut = shop.train(least_clicks=50)
    shop.log(clicks(shop.market, 1_500), "whole")
    _, whole = shop.train(log="whole")
    assert cut.stages[0].fit["rows"] < 0.6 * whole.stages[0].fit["rows"]


def test_files_of_another_kind_are_no_start(opening: Opening, tmp_path: Path) -> None:
    """A promoted booster of other columns cannot be grown on: told, and learned from scratch."""
    shop = opening()
    shop.log(clicks(shop.market, 800))
    narrow = TREES.replace('kind = "lambdamart"', 'kind = "lambdamart"\nfeatures = ["price"]')
    version, _ = shop.train(narrow)
    shop.store.promote(TENANT, "default", version)
    _, learned = shop.train(go_on=True)
    assert learned.stages[0].how == "learned"
    assert any("trained on 1 columns" in note for note in learned.notes)
