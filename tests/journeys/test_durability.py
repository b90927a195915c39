"""Accepted means durable: real servers, killed at random moments under load, from outside."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks.durability import Batch, Ledger, batch_of, torture, verdict
from cascade.eventlog.layout import home_of, segments
from cascade.eventlog.testing import TENANT, done, shown, write_segment

KILLS = 20


def test_every_acknowledged_event_counts_once(tmp_path: Path) -> None:
    """After so many kills, of compactors too: nothing acknowledged is lost, and nothing counts twice."""
    ledger, log = torture(tmp_path, KILLS, at_once=4)
    found = verdict(ledger, log)
    assert found.acknowledged > KILLS
    assert (found.lost, found.doubled, found.invented) == (0, 0, 0)


@pytest.fixture
def told(tmp_path: Path) -> tuple[Ledger, Path]:
    """A ledger with two acknowledged batches, and a log that holds them and their repetition."""
    ledger = Ledger()
    batches: list[Batch] = [batch_of("x"), batch_of("y")]
    for batch in batches:
        ledger.sent[batch.request_id] = batch
        ledger.safe.add(batch.request_id)
    items = [f"c{item}" for item in range(10)]
    for name in ("x", "y", "x"):
        clicks = [done(str(item), name, f"c{item}") for item in range(5)]
        write_segment(tmp_path, [shown(name, *items), *clicks])
    return ledger, tmp_path


def test_the_verdict_accepts_repetitions(told: tuple[Ledger, Path]) -> None:
    """What was sent twice and counts once is well."""
    assert dataclasses.astuple(verdict(*told))[3:] == (0, 0, 0)


def test_the_verdict_sees_a_loss(told: tuple[Ledger, Path]) -> None:
    """Without one of the segments, a page and its clicks are missing: the check can fail."""
    ledger, log = told
    for path in segments(home_of(log, TENANT)):
        if b"c9" in path.read_bytes() and b"\xa1y" in path.read_bytes():
            path.unlink()
    assert verdict(ledger, log).lost == 6


def test_the_verdict_sees_an_invention_and_a_double(told: tuple[Ledger, Path]) -> None:
    """A click that nobody sent, and one that counts twice under another id, are told."""
    ledger, log = told
    write_segment(log, [done("z", "x", "c9"), done("another id", "x", "c0")])
    found = verdict(ledger, log)
    assert (found.invented, found.doubled) == (1, 1)
