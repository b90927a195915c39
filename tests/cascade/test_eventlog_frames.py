"""Records in files that end anywhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.eventlog.frames import HEADER, MARK, Passed, frame, payloads

PAYLOADS = st.lists(st.one_of(st.binary(max_size=40), st.just(MARK), st.just(frame(b"inner"))), max_size=6)


def read(data: bytes) -> tuple[list[bytes], Passed]:
    passed = Passed()
    return list(payloads(data, passed)), passed


@settings(max_examples=100, deadline=None)
@given(PAYLOADS)
def test_what_is_framed_is_read_back(written: list[bytes]) -> None:
    """Any payloads come back as they were, those that look like frames included."""
    assert read(b"".join(map(frame, written))) == (written, Passed())


@pytest.mark.parametrize("last", [b"", b"x", b"the last record", MARK * 3])
def test_a_torn_tail_costs_only_itself(last: bytes) -> None:
    """Cut at every byte offset, the file gives exactly the whole records, and says what was torn."""
    written = [b"one", b"", b"three" * 10, last]
    data = b"".join(map(frame, written))
    ends = [sum(len(frame(each)) for each in written[:n]) for n in range(len(written) + 1)]
    for cut in range(len(data) + 1):
        whole = sum(end <= cut for end in ends) - 1
        assert read(data[:cut]) == (written[:whole], Passed(torn=cut - ends[whole]))


def test_a_spoilt_record_costs_only_itself() -> None:
    """Any byte of the middle record may change: its neighbours are read, and the damage is counted."""
    written = [b"first", b"second", b"third"]
    data = b"".join(map(frame, written))
    start, end = len(frame(b"first")), len(frame(b"first")) + len(frame(b"second"))
    for at in range(start, end):
        spoilt = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        assert read(spoilt) == ([b"first", b"third"], Passed(damaged=end - start))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_no_record(noise: bytes) -> None:
    """Bytes that nobody framed give nothing, and are counted."""
    found, passed = read(noise)
    assert not found
    assert passed.torn + passed.damaged == len(noise)


def test_zeros_are_no_records() -> None:
    """A file system may leave zeros at a file's end after a power cut; they are torn, not empty records."""
    assert read(frame(b"one") + bytes(64 * HEADER.size)) == ([b"one"], Passed(torn=64 * HEADER.size))
