"""Accepted means durable: what the writer promises, with disks that fail and with several processes."""

import multiprocessing
import resource
import shutil
import threading
from collections.abc import Sequence
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from cascade.eventlog.codec import read_segment
from cascade.eventlog.frames import Passed
from cascade.eventlog.layout import SEGMENTS, home_of, segments
from cascade.eventlog.segment import is_sealed, sweep_unnamed
from cascade.eventlog.testing import TENANT, FaultyDisk, done, shown, writing
from cascade.eventlog.writer import LogWriter, ask
from cascade.events import MICROS, UNTIMED, Event
from features.errors import Exhausted, InvalidInput, Unavailable


def stored(root: Path, tenant: str = TENANT) -> list[Event]:
    """What lies in a tenant's segments."""
    groups = [group for path in segments(root / tenant) for group in read_segment(path, Passed())]
    return [event for group in groups for event in group]


def clicks(count: int, prefix: str = "e") -> list[Event]:
    return [done(f"{prefix}{number}", "r", "a") for number in range(count)]


def test_events_are_on_the_disk_when_the_receipt_says_so(tmp_path: Path) -> None:
    """Read by another handle right after the receipt, every event is there as it was sent."""
    events: list[Event] = [shown("r", scores=b"\x00" * 12), *clicks(3)]
    with writing(tmp_path) as writer:
        receipt = writer.append(TENANT, events)
        receipt.durable.result(30)
        assert (receipt.accepted, receipt.duplicate) == (4, 0)
        assert stored(tmp_path) == events


def test_all_that_wait_share_one_flush(tmp_path: Path) -> None:
    """While the disk flushes, others gather: many calls cost few flushes."""
    faulty, gate = FaultyDisk(), threading.Event()
    slow = faulty.disk.__class__(faulty._write, lambda handle: (gate.wait(30), faulty._sync(handle))[1])  # type: ignore[func-returns-value]
    with writing(tmp_path, slow) as writer:
        receipts = [writer.append(TENANT, clicks(1, f"{call}-")) for call in range(100)]
        gate.set()
        for receipt in receipts:
            receipt.durable.result(30)
    assert faulty.syncs <= 3
    assert len(stored(tmp_path)) == 100


def test_a_repetition_is_told_and_not_written_twice(tmp_path: Path) -> None:
    """The same event in one call and in a later one is a duplicate; other content under its id is not."""
    with writing(tmp_path) as writer:
        first = writer.append(TENANT, [*clicks(2), *clicks(2)])
        first.durable.result(30)
        again = writer.append(TENANT, [*clicks(2), done("e0", "r", "b")])
        again.durable.result(30)
        assert (first.accepted, first.duplicate) == (2, 2)
        assert (again.accepted, again.duplicate) == (1, 2)
    assert len(stored(tmp_path)) == 3


def test_an_event_without_a_time_is_known_again(tmp_path: Path) -> None:
    """Sent again when the clock has moved on, it is a duplicate; other content, or a time, makes another."""
    now = iter(range(1_000_000))
    writer = LogWriter(tmp_path, clock=lambda: float(next(now)), new_id=lambda: "w")
    untimed = done("e", "r", "a", time_us=UNTIMED)
    others = [done("e", "r", "b", time_us=UNTIMED), done("e", "r", "a", at_s=0)]
    try:
        writer.append(TENANT, [untimed]).durable.result(30)
        again = writer.append(TENANT, [untimed, *others])
        again.durable.result(30)
    finally:
        writer.close()
    assert (again.accepted, again.duplicate) == (2, 1)
    assert [0 <= event.time_us < 1_000_000 * MICROS for event in stored(tmp_path)] == [True, True, False]


@pytest.mark.parametrize("sealed", [False, True])
def test_a_tenant_that_was_removed_begins_anew(tmp_path: Path, sealed: bool) -> None:
    """Events after a removal are on the disk, in a new segment, and one that went is no repetition."""
    with writing(tmp_path, segment_bytes=1 if sealed else 1 << 20) as writer:
        writer.append(TENANT, clicks(2)).durable.result(30)
        writer.append("other", clicks(1)).durable.result(30)
        shutil.rmtree(home_of(tmp_path, TENANT))
        for each in clicks(2):
            receipt = writer.append(TENANT, [each])
            receipt.durable.result(30)
            assert (receipt.accepted, receipt.duplicate) == (1, 0)
        assert stored(tmp_path) == clicks(2)
        assert writer.append("other", clicks(1)).duplicate == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_sweep_does_not_hinder_a_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """A sweep that comes between a segment's creation and its lock costs nothing."""
    sweeps = iter([True])

    def late(handle: int, how: int) -> None:
        if how & LOCK_EX and next(sweeps, False):
            if not lost:
                raise BlockingIOError
            sweep_unnamed(tmp_path / TENANT / SEGMENTS)
        flock(handle, how)

    monkeypatch.setattr("cascade.eventlog.segment.flock", late)
    with writing(tmp_path) as writer:
        writer.append(TENANT, clicks(1)).durable.result(30)
    assert stored(tmp_path) == clicks(1)
    assert not list((tmp_path / TENANT / SEGMENTS).glob(".new-*"))


def test_a_call_larger_than_a_reader_takes_is_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No frame is longer than what counts as one, however much comes at once; such an event is refused."""
    monkeypatch.setattr("cascade.eventlog.frames.LARGEST", 2_000)
    monkeypatch.setattr("cascade.eventlog.codec.EVENT_BYTES", 500)
    with writing(tmp_path) as writer:
        receipt = writer.append(TENANT, clicks(200))
        receipt.durable.result(30)
        with pytest.raises(InvalidInput, match=r"event: has .* more than the 500 allowed"):
            writer.append(TENANT, [done("x" * 600, "r", "a")])
    assert receipt.accepted == 200
    assert stored(tmp_path) == clicks(200)


def test_memory_of_repetitions_is_bounded(tmp_path: Path) -> None:
    """A writer that remembers ten events forgets the eleventh last, and writes it again."""
    with writing(tmp_path, remembered=10) as writer:
        for event in clicks(11):
            writer.append(TENANT, [event]).durable.result(30)
        assert writer.append(TENANT, clicks(1)).accepted == 1


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """Nothing acknowledged is lost, nothing is half accepted, and with room again all goes on."""
    faulty = FaultyDisk()
    with writing(tmp_path, faulty.disk) as writer:
        writer.append(TENANT, clicks(1, "before")).durable.result(30)
        faulty.room = 17
        with pytest.raises(Exhausted, match="disk is full") as caught:
            writer.append(TENANT, clicks(5, "refused")).durable.result(30)
        assert caught.value.retry_after_s > 0
        faulty.room = 1 << 30
        again = writer.append(TENANT, clicks(5, "refused"))
        again.durable.result(30)
        assert again.accepted == 5
    assert stored(tmp_path) == [*clicks(1, "before"), *clicks(5, "refused")]


def test_a_failed_flush_leaves_the_segment(tmp_path: Path) -> None:
    """After a failed flush nobody knows what the disk holds, so the next events go to another file."""
    faulty = FaultyDisk()
    with writing(tmp_path, faulty.disk) as writer:
        faulty.sync_fails = True
        with pytest.raises(Unavailable, match="nothing of this call was accepted"):
            writer.append(TENANT, clicks(1)).durable.result(30)
        faulty.sync_fails = False
        writer.append(TENANT, clicks(1, "later")).durable.result(30)
        assert len(segments(tmp_path / TENANT)) == 2
    assert clicks(1, "later")[0] in stored(tmp_path)


def test_a_disk_that_cannot_keep_up_pushes_back(tmp_path: Path) -> None:
    """Beyond the bound of bytes that wait, callers are told when to come back."""
    gate = threading.Event()
    faulty = FaultyDisk()
    slow = faulty.disk.__class__(faulty._write, lambda handle: (gate.wait(30), faulty._sync(handle))[1])  # type: ignore[func-returns-value]
    with writing(tmp_path, slow, pending_bytes=2_000) as writer:
        first = writer.append(TENANT, clicks(100))
        with pytest.raises(Exhausted, match="wait for the disk"):
            writer.append(TENANT, clicks(10, "more"))
        gate.set()
        first.durable.result(30)
        writer.append(TENANT, clicks(10, "later")).durable.result(30)


def test_tenants_lie_apart_and_names_cannot_lead_out(tmp_path: Path) -> None:
    """Each tenant has a folder, and what is no name never becomes a path."""
    with writing(tmp_path) as writer:
        for tenant in ("one", "two"):
            writer.append(tenant, clicks(1, tenant)).durable.result(30)
        for name in ("../one", "", "a/b", "One", "x" * 80):
            with pytest.raises(InvalidInput, match="tenant"):
                writer.append(name, clicks(1))
    assert stored(tmp_path, "one") == clicks(1, "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_segments_are_sealed_by_size_and_on_request(tmp_path: Path) -> None:
    """A large segment is followed by another one, and so is one that somebody asks to let go."""
    with writing(tmp_path, segment_bytes=500) as writer:
        for call in range(4):
            writer.append(TENANT, clicks(10, f"{call}-")).durable.result(30)
        writer.append(TENANT, clicks(1, "last")).durable.result(30)
        last = segments(tmp_path / TENANT)[-1]
        assert len(segments(tmp_path / TENANT)) == 5
        ask(home_of(tmp_path, TENANT))
        waited = threading.Event()
        for _ in range(500):
            if is_sealed(last):
                break
            waited.wait(0.01)
        assert is_sealed(last)


def test_a_closed_writer_leaves_sealed_segments_and_takes_no_more(tmp_path: Path) -> None:
    """Closing flushes what waits; a second close does nothing; appending is refused."""
    with writing(tmp_path) as writer:
        receipt = writer.append(TENANT, clicks(3))
        writer.close()
        receipt.durable.result(0)
        assert all(map(is_sealed, segments(tmp_path / TENANT)))
        with pytest.raises(Unavailable, match="closed"):
            writer.append(TENANT, clicks(4))
    assert not list((tmp_path / TENANT / SEGMENTS).glob(".new-*"))


def write_many(root: Path, name: str) -> None:
    """In a process of its own."""
    with writing(root, prefix=name, segment_bytes=2_000) as writer:
        for call in range(20):
            writer.append(TENANT, clicks(10, f"{name}-{call}-")).durable.result(30)


def run(*calls: tuple[Path, str], target: object = write_many) -> Sequence[int | None]:
    """Exit codes of processes that ran at the same time."""
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=target, args=call) for call in calls]  # type: ignore[arg-type]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    return [child.exitcode for child in children]


def test_processes_write_beside_each_other(tmp_path: Path) -> None:
    """Three processes at once, no lock between them: every event is there once."""
    assert run(*((tmp_path, name) for name in ("x", "y", "z"))) == [0, 0, 0]
    found = [event.event_id for event in stored(tmp_path)]
    assert len(found) == len(set(found)) == 600


def fill(root: Path, name: str) -> None:
    """A process whose files may not grow beyond 20,000 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    accepted = 0
    with writing(root, prefix=name) as writer:
        for call in range(1_000):
            try:
                writer.append(TENANT, clicks(10, f"{call}-")).durable.result(30)
            except Exhausted:
                break
            accepted += 10
    (root / "accepted").write_text(str(accepted))


def test_a_real_limit_of_the_system_loses_nothing(tmp_path: Path) -> None:
    """With RLIMIT_FSIZE in the way, exactly the acknowledged events are in the file."""
    assert run((tmp_path, "limited"), target=fill) == [0]
    accepted = int((tmp_path / "accepted").read_text())
    assert 0 < accepted < 10_000
    assert len(stored(tmp_path)) == accepted
