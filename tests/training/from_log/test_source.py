"""What is read of a log, and what is refused with the way out."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from cascade.eventlog.testing import START_S, done, matrix, shown
from cascade.events import Event, Impression
from features.errors import InvalidConfig, InvalidInput, NotFound, NotReady
from training.from_log.publish import learn_and_publish
from training.from_log.settings import Learning, parse_learning, read_learning
from training.from_log.task import LogTask
from training.from_log.testing import FEATURES, SERVING, TENANT, TREES, clicks
from training.from_log.window import LAST

Opening = Callable[..., Any]


def as_if(events: list[Event], **fields: Any) -> list[Event]:
    """The same events, their pages with other fields."""
    return [
        msgspec.structs.replace(event, **fields) if isinstance(event, Impression) else event
        for event in events
    ]


def test_a_tenant_without_a_log_is_not_found(opening: Opening) -> None:
    """The tenant and the log are named."""
    with pytest.raises(NotFound, match="no events of tenant 'shop'"):
        opening().train()


def test_a_window_without_pages_is_told(shop: Any) -> None:
    """Nothing was shown in it: widen it."""
    with pytest.raises(NotReady, match="the window holds no page that 'default' ranked; widen"):
        shop.train(since="1h")


def test_last_needs_a_promoted_bundle_that_learned_from_a_log(shop: Any) -> None:
    """What serves was declared by hand."""
    with pytest.raises(InvalidInput, match="--since: 'last' goes on where"):
        shop.train(since=LAST)


def test_a_reversed_window_is_refused(shop: Any) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidInput, match="empty or reversed"):
        shop.train(since="1d", until="2d")


def test_too_few_clicks_are_counted(opening: Opening) -> None:
    """How many there are, how many are needed, and where that is set."""
    shop = opening()
    shop.log(clicks(shop.market, 60))
    with pytest.raises(
        InvalidInput, match=r"\d+ of 60 pages have a click .* at least 100 are needed \(least_clicks"
    ):
        shop.train()


def test_a_log_without_features_is_refused_with_the_way_out(opening: Opening) -> None:
    """Pages as clients send them, without a number."""
    shop = opening()
    shop.log(as_if(clicks(shop.market, 50), features=b"", names=(), fingerprint=""))
    with pytest.raises(
        NotReady, match=r"50 pages of 'default' hold no features .* log features \(`log = true`"
    ):
        shop.train()


def test_features_of_another_set_are_refused(opening: Opening) -> None:
    """The fingerprints that are there are named."""
    shop = opening()
    shop.log(as_if(clicks(shop.market, 50), fingerprint="feedface" * 8))
    with pytest.raises(NotReady, match="fingerprints in the log: feedfacefeedface"):
        shop.train()


def test_a_config_of_other_features_is_refused_before_the_log_is_read(shop: Any) -> None:
    """The promoted bundle's features are the log's."""
    more = TREES.replace('[[features]]\nname = "fame"', '[[features]]\nname = "age"\nkind = "numeric"\n'
                         'field = "age"\n\n[[features]]\nname = "fame"')  # fmt: skip
    with pytest.raises(NotReady, match="--config: the features of --config are not those of the promoted"):
        shop.train(more)


def test_a_cascade_that_learns_nothing_is_refused(shop: Any) -> None:
    """All its stages are declared."""
    with pytest.raises(InvalidConfig, match="no stage learns from a log"):
        shop.train(SERVING)


def test_pages_of_others_and_without_features_are_left_out_and_counted(opening: Opening) -> None:
    """Both are in the manifest's counts; what is left is what there would be without them."""
    shop = opening()
    events = clicks(shop.market, 600)
    shop.log(events, "clean")
    strangers: list[Event] = [
        shown(f"other{n}", "a", "b", ranker="default", version="v0", fingerprint="other") for n in range(7)
    ]
    strangers += [shown(f"second{n}", "a", "b", ranker="second") for n in range(5)]
    shop.log([*strangers, *events])
    (_, clean), (_, mixed) = shop.train(log="clean", least_clicks=20), shop.train(least_clicks=20)
    assert mixed.data["log"]["left_out"] == {
        "of other rankers": 5,
        "without the features": 7,
        "beyond most_rows": 0,
    }
    assert mixed.data["log"]["versions"] == {"v1": 600}
    assert mixed.measured == clean.measured


def test_imported_logs_are_accepted_by_name_without_any_bundle(opening: Opening, tmp_path: Any) -> None:
    """A first ranker out of somebody else's log: its columns are taken as the config's features."""
    shop = opening()
    shop.log(as_if(clicks(shop.market, 600), fingerprint="metarank", ranker="first"))
    task = LogTask(
        config=shop_config(),
        root=shop.root / "log",
        learning=Learning(accept=("metarank",), least_clicks=20, resamples=0),
    )
    version, learned = learn_first(shop, task)
    assert learned.data["base"] == ""
    assert any("nothing is promoted" in note for note in learned.notes)
    assert shop.store.path(TENANT, "first", version).is_dir()


def shop_config() -> Any:
    """The cascade with trees."""
    from cascade.config import parse_config

    return parse_config(TREES)


def learn_first(shop: Any, task: LogTask) -> Any:
    """A training of a ranker that the store does not have yet."""
    from datetime import UTC, datetime

    from training.publish import Target
    from training.trainers import Context

    now = datetime.fromtimestamp(START_S + 864_000, UTC)
    return learn_and_publish(task, Target(shop.store, TENANT, "first"), Context(), now)


def test_a_log_larger_than_memory_is_sampled_by_pages(shop: Any) -> None:
    """As many whole pages as most_rows holds, told in a note, the same each time."""
    (_, one), (_, two) = (shop.train(most_rows=3_000) for _ in range(2))
    assert one.data["log"]["used_rows"] == 3_000
    assert one.data["log"]["left_out"]["beyond most_rows"] == 1_000
    assert any("1,000 pages were left out at random" in note for note in one.notes)
    assert one.measured == two.measured


def test_users_can_be_held_out_instead_of_the_latest_pages(shop: Any) -> None:
    """About a fifth of the pages, and another fifth than the latest."""
    _, learned = shop.train(split="user")
    assert learned.data["held_out"]["split"] == "user"
    assert 150 < learned.data["held_out"]["pages"] < 450


def test_declared_propensities_are_taken_as_they_are(shop: Any) -> None:
    """No model is fitted, and no interval is told."""
    _, learned = shop.train(propensities=(2.0, 1.0, 0.5), resamples=50)
    assert learned.data["click_model"]["method"] == "declared"
    assert learned.data["examination"] == [1.0, 0.5, 0.25]
    assert learned.data["click_model"]["low"] == []


def test_settings_come_from_a_file_and_wrong_ones_name_their_key() -> None:
    """Unknown keys, kinds and weights are refused by their path."""
    found = parse_learning(
        'unbiased = "joint"\nweights = { click = 1.0, share = 4.0 }\n[join]\nlate_s = 60.0'
    )
    assert (found.unbiased, found.weights["share"], found.join.late_s) == ("joint", 4.0, 60.0)
    for text, path in (
        ('unbiased = "magic"', r"\$\.unbiased"),
        ("weights = { click = 0.0 }", r"\$\.labels\.weights|\$\.weights"),
        ("weights = {}", r"\$\.weights"),
        ("clip = 2.0", r"\$\.clip"),
        ("[join]\nlate = 1", r"\$\.join"),
        ("colour = 1", "colour"),
        ("= 1", "not TOML"),
    ):
        with pytest.raises(InvalidConfig, match=path):
            parse_learning(text)
    with pytest.raises(InvalidConfig, match="--unbiased: there are auto, ips"):
        read_learning(None, "magic")
    assert read_learning(None, "none").unbiased == "none"
    assert np.isclose(Learning().clip, 0.05)
    assert FEATURES in TREES
    assert done("e", "r", "a").type == "CLICK"
    assert matrix([1.0])
