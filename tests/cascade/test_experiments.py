"""Declared experiments, their beginning and end, and who takes part."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cascade.experiments.assignment import group_of
from cascade.experiments.declared import Experiment, checked, divided
from cascade.experiments.file import NAME, read_experiments, write_experiments
from cascade.experiments.lifecycle import Experiments, begun, challenged, ended
from features.errors import Conflict, Corrupt, InvalidInput, NotFound, NotReady

VERSIONS = ("old", "new", "newer")


def experiment(**fields: Any) -> Experiment:
    """A canary of one arm in ten."""
    made: dict[str, Any] = {
        "name": "test", "kind": "canary", "arms": ("old", "new"), "shares": (0.9, 0.1),
        "seed": 7, "started": "2026-11-20T12:00:00+00:00",
    }  # fmt: skip
    return Experiment(**{**made, **fields})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name that is none": ({"name": "My test"}, "name: 'My test' is no name"),
    "an arm that is none": ({"arms": ("old", "../new")}, r"arms\[1\]"),
    "no challenger": ({"arms": ("old",), "shares": (1.0,)}, "two or more versions"),
    "an arm twice": ({"arms": ("old", "old")}, "each once"),
    "shares that do not sum": ({"shares": (0.9, 0.2)}, "0.9, 0.2 do not sum to 1"),
    "a share too few": ({"shares": (1.0,)}, "must be 2, one a group"),
    "an arm for nobody": ({"shares": (1.0, 0.0)}, "leave nothing to test/new"),
    "a control for nobody": ({"shares": (0.0, 1.0)}, "leave nothing to test/old"),
    "a shadow of nobody": ({"kind": "shadow", "shares": (1.0, 0.0)}, "leave nothing to test/shadowed"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_right_is_refused(wrong: str) -> None:
    """Every field that cannot be right is named with the reason."""
    fields, message = WRONG[wrong]
    with pytest.raises(InvalidInput, match=message):
        checked(experiment(**fields))


def test_all_traffic_may_be_interleaved() -> None:
    """Nobody has to be left to the control alone where pages are shared."""
    everybody = experiment(kind="interleave", arms=VERSIONS, shares=(0.0, 1.0))
    assert checked(everybody).groups == ("test/old", "test/interleaved")


def test_shares_are_what_challengers_get() -> None:
    """One share is for each challenger of a canary, or for all of another kind; the control has the rest."""
    assert divided("canary", 2, (0.1,)) == pytest.approx((0.8, 0.1, 0.1))
    assert divided("canary", 2, (0.1, 0.3)) == pytest.approx((0.6, 0.1, 0.3))
    assert divided("interleave", 2, (0.25,)) == (0.75, 0.25)
    for share, why in (((0.1, 0.1, 0.1), "3 shares for 2"), ((0.6, 0.6), "more than 1")):
        with pytest.raises(InvalidInput, match=why):
            divided("canary", 2, share)


def test_one_at_a_time_and_each_name_once() -> None:
    """A second one waits for the end of the first, and takes another name; what ended can still be found."""
    first = begun(Experiments(), experiment(), "old", VERSIONS)
    with pytest.raises(Conflict, match="'test' runs"):
        begun(first, experiment(name="other"), "old", VERSIONS)
    over = ended(first, "2026-11-21T12:00:00+00:00")
    assert over.running is None
    with pytest.raises(Conflict, match="ran before"):
        begun(over, experiment(), "old", VERSIONS)
    second = begun(over, experiment(name="other"), "old", VERSIONS)
    assert (second.find().name, second.find("test").ended) == ("other", "2026-11-21T12:00:00+00:00")
    with pytest.raises(NotFound, match="no experiment 'none'; there are test, other"):
        second.find("none")
    with pytest.raises(NotReady, match="no experiment runs"):
        ended(over, "")


def test_arms_are_versions_and_the_control_serves() -> None:
    """Nothing promoted, an arm that is no version, and a control that does not serve are told apart."""
    with pytest.raises(NotReady, match="nothing is promoted"):
        begun(Experiments(), experiment(), "", VERSIONS)
    with pytest.raises(NotFound, match=r"arms\[1\]: no version 'new'; there are old"):
        begun(Experiments(), experiment(), "old", ("old",))
    with pytest.raises(Conflict, match="newer serves, while the control is old"):
        begun(Experiments(), experiment(), "newer", VERSIONS)


def test_versions_may_be_shortened() -> None:
    """A beginning that only one version has names it; one that several have does not."""
    assert challenged(VERSIONS, "old", ["newe", "new"]) == ("old", "newer", "new")
    with pytest.raises(InvalidInput, match="'ne' is the beginning of new, newer"):
        challenged(VERSIONS, "old", ["ne"])
    with pytest.raises(NotFound, match="no version 'x'"):
        challenged(VERSIONS, "old", ["x"])


@given(seed=st.integers(0, 1 << 32), share=st.sampled_from([0.01, 0.1, 0.5]))
@settings(max_examples=30, deadline=None)
def test_groups_have_their_shares(seed: int, share: float) -> None:
    """Whatever the seed, an arm gets its share of users within what chance allows once in a million."""
    one = experiment(seed=seed, shares=(1 - share, share))
    taken = sum(group_of(one, f"user-{number}", "", "") for number in range(2_000))
    low, high = stats.binom.ppf([5e-7, 1 - 5e-7], 2_000, share)
    assert low <= taken <= high


def test_a_user_stays_in_his_group() -> None:
    """The user decides, else the session, else the request; groups are the same in all versions of Sluice."""
    one = experiment(shares=(0.5, 0.5))
    groups = [group_of(one, user, "s", "r") for user in "abcdefghijkl"]
    assert groups == [group_of(one, user, "other", "request") for user in "abcdefghijkl"]
    assert groups == [0, 0, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0]
    by_session = [group_of(one, "", session, "r") for session in "abcdefghijkl"]
    assert by_session == [group_of(one, "", session, "other") for session in "abcdefghijkl"]
    assert by_session != groups
    other = [group_of(experiment(shares=(0.5, 0.5), seed=8), user, "", "") for user in "abcdefghijkl"]
    assert other != groups


def test_shadows_are_drawn_by_request() -> None:
    """One user's requests are shadowed or not each for itself."""
    one = experiment(kind="shadow", shares=(0.5, 0.5))
    groups = [group_of(one, "user", "s", str(number)) for number in range(100)]
    assert 30 <= sum(groups) <= 70


def test_the_file_holds_what_was_written(tmp_path: Path) -> None:
    """None is no file; a file that is none says how to end the experiment."""
    assert read_experiments(tmp_path) == Experiments()
    made = ended(begun(Experiments(), experiment(), "old", VERSIONS), "2026-11-21")
    write_experiments(tmp_path, made)
    assert read_experiments(tmp_path) == made
    (tmp_path / NAME).write_text('{"running": 1}')
    with pytest.raises(Corrupt, match="remove the file"):
        read_experiments(tmp_path)
