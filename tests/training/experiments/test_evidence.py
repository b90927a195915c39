"""What the gate makes of an experiment."""

from typing import Any

import pytest

from features.errors import InvalidInput
from training.experiments.evidence import tried_of
from training.experiments.judge import MISMATCH, RUNNING
from training.gate import Decision, Evidence, Judged, Limits, decide


def status(low: float = 0.01, pages: int = 5_000, verdict: str = RUNNING, **arm: Any) -> dict[str, Any]:
    """A status of `new` against `old`."""
    found = {"value": low + 0.02, "low": low, "high": low + 0.04}
    control = {"version": "old", "group": "test/old", "pages": 5_000, "difference": None}
    new = {"version": "new", "group": "test/new", "pages": pages, "difference": found, **arm}
    declared = {"name": "test", "kind": "canary", "metric": "click"}
    return {"kind": "experiment", "experiment": declared, "arms": [control, new], "verdict": verdict}


def asked(made: dict[str, Any], version: str = "new", current: str = "old", **more: Any) -> Decision:
    """What the gate says of a version."""
    return decide(Evidence(version, current, experiment=tried_of(made, version), **more), Limits())


def test_a_better_arm_passes() -> None:
    """The lower end above 0 is enough, and the grounds name experiment and interval."""
    found = asked(status())
    assert found.passed
    assert (
        found.notes[0] == "the experiment: better, click (canary test) +0.0300 [+0.0100, +0.0500] over 5000"
    )


REFUSED: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "not surely better": ({"low": -0.01}, {}, "the experiment: not surely better"),
    "worse": ({"low": -0.2}, {}, "the experiment: worse"),
    "a mismatch": ({"verdict": MISMATCH}, {}, f"the experiment: {MISMATCH}"),
    "no interval": ({"difference": None}, {}, "the experiment: no difference can be told yet"),
    "too little exposure": ({"pages": 99}, {}, "99 pages in arm 'test/new'; at least 100"),
    "another version": ({}, {"version": "other"}, "the evaluation is of version new, not of other"),
    "another control": ({}, {"current": "older"}, "compared with old, while older serves"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_does_not_pass(why: str) -> None:
    """Each reason is told."""
    made, of, reason = REFUSED[why]
    found = asked(status(**made), **of)
    assert not found.passed
    assert any(reason in one for one in found.reasons)


def test_labels_and_experiment_have_to_agree() -> None:
    """Better on traffic and worse on labels is refused; unsure labels leave the answer to the experiment."""

    def labels(low: float) -> Judged:
        return Judged("nDCG@10", low + 0.01, low, low + 0.02, 500, "new", "old")

    assert not asked(status(), labels=labels(-0.1)).passed
    assert asked(status(), labels=labels(-0.01)).passed


@pytest.mark.parametrize("made", [{"kind": "experiment"}, {**status(), "arms": [{"version": "old"}]}])
def test_what_is_no_status_is_refused(made: dict[str, Any]) -> None:
    """A file that says it is a status, and is none."""
    with pytest.raises(InvalidInput, match="is no status of `sluice experiment status --json`"):
        tried_of(made, "new")
