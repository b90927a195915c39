"""What is kept of an impression until nothing more can come of it: whom it was for, and what it showed."""

import msgspec

from cascade.events import Impression


class Page(msgspec.Struct, frozen=True, array_like=True):
    """An impression as interactions need it.

    Attributes:
        time_us, query, user, session, candidates, context: the impression's.
    """

    time_us: int
    query: str
    user: str
    session: str
    candidates: tuple[str, ...]
    context: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Page)


def page_of(event: Impression) -> Page:
    """What to keep of an impression."""
    return Page(event.time_us, event.query, event.user, event.session, event.candidates, event.context)


def encode(page: Page) -> bytes:
    """A page as it is stored."""
    return _encoder.encode(page)


def decode(data: bytes) -> Page:
    """A stored page."""
    return _decoder.decode(data)
