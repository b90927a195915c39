"""Events as bytes: each is encoded once, and its bytes are what tells whether it was seen before."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from cascade.eventlog.frames import LARGEST, Passed, frame, payloads
from cascade.events import Event
from features.errors import Corrupt, InvalidInput

EVENT_BYTES = LARGEST // 4
"""Of the events of one frame together, and so of one event."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Event])


def encode(event: Event) -> bytes:
    """One event."""
    return _encoder.encode(event)


def fingerprint(encoded: bytes) -> bytes:
    """16 bytes that tell an event from any other: equal only for the same event with the same content."""
    return blake2b(encoded, digest_size=16).digest()


def framed(encoded: Sequence[bytes]) -> bytes:
    """Encoded events as frames, none of them longer than a reader takes for one.

    Raises:
        InvalidInput: for an event that fits into no frame.
    """
    frames: list[bytes] = []
    group: list[bytes] = []
    size = 0
    for each in encoded:
        if len(each) > EVENT_BYTES:
            raise InvalidInput(f"has {len(each)} bytes, more than the {EVENT_BYTES} allowed", path="event")
        if size + len(each) > EVENT_BYTES:
            frames.append(frame(listed(group)))
            group, size = [], 0
        group.append(each)
        size += len(each)
    return b"".join([*frames, frame(listed(group))]) if group else b""


def listed(encoded: Sequence[bytes]) -> bytes:
    """Encoded events as one msgpack array, the payload of a frame."""
    return b"\xdd" + len(encoded).to_bytes(4, "big") + b"".join(encoded)


def read_segment(path: Path, passed: Passed) -> Iterator[list[Event]]:
    """The events of a segment, a list for each frame, in the order in which they were appended.

    Raises:
        Corrupt: for a frame that is whole, and yet no events: another program wrote it, or a newer Sluice.
    """
    for payload in payloads(path.read_bytes(), passed):
        yield decode_frame(payload, path)


def decode_frame(payload: bytes, path: Path) -> list[Event]:
    """The events of a frame.

    Raises:
        Corrupt: for a frame that is whole, and yet no events: another program wrote it, or a newer Sluice.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(f"holds a record that this Sluice cannot read: {error}", path=str(path)) from None
