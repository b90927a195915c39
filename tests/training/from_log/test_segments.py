"""Devices that look less far down have a curve of their own; those with few pages have the whole's."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from cascade.events import Event, Impression
from cascade.manifest import read_manifest
from features.errors import InvalidInput
from training.from_log.examination import Examination
from training.from_log.pages import LogPages
from training.from_log.segments import MOST, OTHERS, frequent, value_of
from training.from_log.settings import parse_learning
from training.from_log.testing import TENANT, THETA, Market, clicks

Opening = Callable[..., Any]
PHONES = np.array([1.0, 0.7, 0.5, 0.35, 0.25, 0.2])
"""How much less often than on other devices a place is seen."""


def on(device: str, events: list[Event], seen: Any = None, seed: int = 5) -> list[Event]:
    """The same events on a device, whose people miss some of what was clicked lower down."""
    random = np.random.default_rng(seed)
    made: list[Event] = []
    values = msgspec.json.encode({"device": device}).decode()
    for event in events:
        names = {"request_id": f"{device}-{event.request_id}", "event_id": f"{device}-{event.event_id}"}
        if isinstance(event, Impression):
            places = {name: place for place, name in enumerate(event.candidates)}
            made.append(msgspec.structs.replace(event, values=values, **names))
        elif seen is None or random.random() < seen[places[event.candidate_id]]:
            made.append(msgspec.structs.replace(event, **names))
    return made


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Pages on desktops and phones, and a handful on a television where nobody differs."""
    market = Market.of()
    return [
        *on("desktop", clicks(market, 2_500, noise=0.3, seed=1)),
        *on("phone", clicks(market, 2_500, noise=0.3, seed=2), PHONES),
        *on("television", clicks(market, 12, noise=0.3, seed=3)),
    ]


def test_each_device_has_its_curve_as_far_as_it_is_sure(opening: Opening, events: list[Event]) -> None:
    """Two devices come out near the truth; the third, of a dozen pages, stays near the whole log's."""
    shop = opening()
    shop.log(events)
    version, learned = shop.train(by="device")
    data = read_manifest(shop.store.path(TENANT, "default", version)).manifest.data
    curves = {name: np.array(curve) for name, curve in data["click_model"]["segments"].items()}
    assert set(curves) == {"desktop", "phone", "television"}
    np.testing.assert_allclose(curves["desktop"], THETA, rtol=0.25)
    whole = np.array(data["click_model"]["propensity"])
    off = [np.abs(np.log(each / (THETA * PHONES))).mean() for each in (curves["phone"], whole)]
    assert off[0] < off[1] / 3
    np.testing.assert_allclose(curves["television"], whole, rtol=0.35)
    assert data["learning"]["by"] == "device"
    assert learned.seen.segments == ("desktop", "phone", "television")


def test_rows_have_the_curve_of_their_page() -> None:
    """Each row's place is looked up in the curve of its page's device, and clipped."""
    pages = LogPages(
        offsets=np.array([0, 2, 5]),
        values=np.zeros((5, 1), np.float32),
        names=("x",),
        fingerprint="",
        worth=np.zeros(5),
        place=np.array([0, 1, 0, 1, 2]),
        document=np.arange(5),
        query=np.zeros(2, np.int64),
        time_us=np.arange(2),
        actor=np.arange(2, dtype=np.uint64),
        texts=("q",),
        ids=tuple("abcde"),
        segment=np.array([1, 0]),
        segments=("desktop", "phone"),
    )
    curves = np.array([[1.0, 0.8, 0.6], [1.0, 0.4, 0.01]])
    nothing = np.empty(0)
    seen = Examination("x", curves[0], nothing, nothing, 0.0, 1.0, pages.segments, curves)
    assert seen.at(pages, 0.05).tolist() == [1.0, 0.4, 1.0, 0.8, 0.6]
    assert seen.at(pages.pages(np.array([1])), 0.7).tolist() == [1.0, 0.8, 0.7]
    assert replace(seen, apart=None).at(pages, 0.05).tolist() == [1.0, 0.8, 1.0, 0.8, 0.6]


def test_weights_by_device_teach_what_people_like(opening: Opening, events: list[Event]) -> None:
    """What comes of it agrees with people's true likes; without `by` there is no curve but one."""
    shop = opening()
    shop.log(events)
    assert shop.train()[1].seen.apart is None
    assert shop.tau(shop.train(by="device")[0]) > 0.6


def test_a_value_that_no_page_has_is_an_error(opening: Opening, events: list[Event]) -> None:
    """A misspelt name would otherwise quietly be one curve for all."""
    shop = opening()
    shop.log(events)
    with pytest.raises(InvalidInput, match="no page of the log has a value named 'devise'"):
        shop.train(by="devise")


def test_only_frequent_ones_are_told_apart() -> None:
    """Beyond so many values the rest is one more, and pages that tell none are their own."""
    names = tuple(f"v{number:02}" for number in range(MOST + 5))
    pages = np.repeat(np.arange(len(names)), np.arange(len(names), 0, -1))
    segment, kept = frequent(pages, names, "device")
    assert kept == (*names[:MOST], OTHERS)
    assert np.bincount(segment).tolist() == [*range(len(names), 5, -1), 5 + 4 + 3 + 2 + 1]
    assert frequent(np.array([0, 1]), ("", "phone"), "device")[1] == ("(none)", "phone")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ('{"device":"phone"}', "phone"),
        ('{"device":7.0}', "7.0"),
        ("", ""),
        ("{}", ""),
        ("[1]", ""),
        ("no json", ""),
    ],
)
def test_values_of_pages(values: str, told: str) -> None:
    """Whatever stands there, a page has one value or none."""
    assert value_of(values, "device") == told


def test_it_is_set_in_the_file() -> None:
    """`by` is a key of the behaviour file."""
    assert parse_learning('by = "device"').by == "device"
