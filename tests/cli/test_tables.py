"""Tables of 80 columns, as a terminal or a pipe has them, lose nothing that tells what a row is about."""

from typing import Any

import pytest
from rich.console import Console

from cascade.experiments.declared import Experiment
from cli.check import table as plain
from cli.experiment_status import canary_table, interleaving_table, shadow_table
from cli.listing import Row, cells
from cli.offpolicy import table
from cli.status import SERVING
from cli.tables import drifted
from training.experiments.judge import BETTER, CONTROL_BETTER, MISMATCH, THIN, Arm, Judged
from training.experiments.shadows import ShadowArm
from training.offpolicy.compare import Asked, OffPolicy
from training.offpolicy.estimate import NORMALISED, POSITION, Estimate
from training.offpolicy.intervals import Interval

VERSION, CONTROL = "1fdeada39a9ba3ac", "0123456789abcdef"
FOUND = Interval(0.1234, -0.1023, 0.2345)


def words(shown: Any) -> list[str]:
    """What stands in a table, printed 80 columns wide."""
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(shown)
    text = captured.get()
    assert "\u2026" not in text
    assert max(map(len, text.splitlines())) <= 80
    return text.split()


def test_estimators_keep_their_names_and_intervals() -> None:
    """The longest name, whole, and both ends of each interval."""
    one = Estimate(POSITION, NORMALISED, FOUND, FOUND, 12_345.0, FOUND, 0.01, ())
    found = made(
        OffPolicy, ranker="default", version=VERSION, asked=Asked("default"), pages=1_600, moved=0.5,
        logged=FOUND, estimates=(one,),
    )  # fmt: skip
    told = words(table(found))
    assert f"{POSITION}, {NORMALISED}" in " ".join(told)
    for cell in ("0.1234", "[-0.1023,", "0.2345]", "+0.1234", "+0.2345]", "12,345", "clipped", "1.0%"):
        assert cell in told


def test_short_cells_are_never_broken() -> None:
    """Columns of short cells are not cut for the sake of a long one; what says nothing is left out."""
    heads = ("shop", "how often it is seen", "nothing", *(f"n{place}" for place in range(5)), "long")
    row = ("shop/default", "12,345", "", *(["123.45"] * 5), "a text that takes several lines")
    told = words(plain("", heads, [row]))
    assert told.count("123.45") == 5
    assert {"shop/default", "12,345", "several", "often"} <= set(told)
    assert "nothing" not in told


@pytest.mark.parametrize(
    ("index", "told", "style"), [(0.002, "none beyond 0.25", ""), (0.4, "another", "red")]
)
def test_small_drift_is_not_told_as_drift(index: float, told: str, style: str) -> None:
    """The three largest indices, and in words whether any of them matters."""
    line, shown = drifted({"price": index, "b": 0.002, "c": 0.001, "d": 0.001})
    assert told in line
    assert line.endswith(f"price {index:.3f}, b 0.002, c 0.001")
    assert shown == style


def judged(verdict: str) -> Judged:
    """A control and an arm with some thousand pages."""
    numbers = {"pages": 12_345, "people": 6_789, "clicked": 2_345, "slots": 23_456, "reward": 0.1234}
    arms = tuple(
        made(Arm, version=version, share=0.5, difference=found, exposed=True, verdict=word, **numbers)
        for version, found, word in ((CONTROL, None, ""), (VERSION, FOUND, verdict))
    )
    one = Experiment(
        name="x", kind="canary", arms=(CONTROL, VERSION), shares=(0.5, 0.5), seed=1, started="2026-01-01"
    )
    found: Judged = made(Judged, experiment=one, arms=arms, pages=24_690, people=13_578)
    return found


def made(kind: type[Any], **fields: Any) -> Any:
    """A dataclass of which a table reads some fields alone."""
    return kind(**dict.fromkeys(kind.__dataclass_fields__) | fields)


@pytest.mark.parametrize("verdict", [BETTER, CONTROL_BETTER, MISMATCH, THIN])
def test_arms_keep_their_versions_and_verdicts(verdict: str) -> None:
    """For canaries and interleavings."""
    for shown in (canary_table, interleaving_table):
        told = words(shown(judged(verdict)))
        for cell in (CONTROL, "(control)", VERSION, "+0.1234", "[-0.1023,", "+0.2345]", "exposed"):
            assert cell in told
        assert all(word in "".join(told) for word in verdict.replace("-", "- ").split())


def test_shadows_keep_their_versions() -> None:
    """And every number."""
    arm = made(
        ShadowArm, version=VERSION, rankings=123_456, failed=12, degraded=3, ms=12.34, ms_95=123.45,
        control_ms=11.22, overlap=0.512, tau=0.498,
    )  # fmt: skip
    told = words(shadow_table(judged(BETTER).experiment, (arm,)))
    for cell in (VERSION, "123,456", "12", "3", "12.34", "123.45", "11.22", "0.512", "0.498"):
        assert cell in told


def test_versions_can_be_copied() -> None:
    """`list` and `status` never break one over two lines."""
    row = Row("a-tenant-of-a-long-name", "default", VERSION, True, "2026-11-20T10:00:11+00:00", {"nDCG": 0.5})
    heads = ("tenant", "ranker", "version", "serves", "created", "main metric")
    assert VERSION in words(plain("store", heads, [cells(row)]))
    moment = "2026-11-20T10:00"
    serving = ("shop/default", f"{VERSION}\n(forced)", moment, f"{moment} to {moment}", "nDCG 0.5", "canary")
    assert VERSION in words(plain("what serves", SERVING, [serving]))
