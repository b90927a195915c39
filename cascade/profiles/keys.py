"""Where a profile stands in a store: `{tenant}:kind:id`.

The braces are a Redis hash tag: all keys of a tenant are in one slot, so that they can change together. No
key of one tenant begins with another's, since names of tenants hold neither braces nor colons
(`cascade/names.py`).
"""

from hashlib import blake2b

from cascade.names import check_name
from features.keywords import fold

LONGEST = 200
"""Bytes of an id; a longer one is kept by its hash (LMDB takes keys of 511 bytes)."""

Key = bytes

ITEM, USER, SESSION, QUERY, PAGE, DONE, EARLY = (
    b"item:",
    b"user:",
    b"session:",
    b"query:",
    b"page:",
    b"done:",
    b"early:",
)
TOTALS, POSITION, RULES = b"totals", b"position", b"rules"
OF_OWNER = {"user": USER, "session": SESSION, "query": QUERY}


def prefix_of(tenant: str) -> bytes:
    """What all keys of a tenant begin with.

    Raises:
        InvalidInput: for what cannot be a tenant's name.
    """
    return b"{" + check_name(tenant, "tenant").encode() + b"}:"


def key_of(kind: bytes, name: str) -> Key:
    """A key within a tenant."""
    encoded = name.encode("utf-8", "surrogatepass")
    if len(encoded) <= LONGEST:
        return kind + encoded
    return kind + b"\xff" + blake2b(encoded, digest_size=32).digest()


def query_name(text: str) -> str:
    """Queries that differ in case and blanks alone are one."""
    return " ".join(fold(text).split())
