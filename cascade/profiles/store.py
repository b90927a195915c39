"""The contract of a profile store: bytes under keys, read together, changed together.

What the bytes mean is written in pure code beside this; a store only keeps them. `tests/contracts/
test_profile_stores.py` holds every implementation to the same laws.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Key = bytes
Values = Sequence[bytes | None]
"""Along the keys that were asked for; None = nothing is there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, and the moment (microseconds since 1970) from which the store may drop it; 0 = never."""

    value: bytes
    expires_us: int = 0


Changes = Mapping[Key, Entry | None]
"""Key → its new value; None = it is gone."""

Change = Callable[[Values], Changes | None]
"""What becomes of the values; None = nothing, and the caller plans anew."""


class ProfileStore(Protocol):
    """Profiles of any number of tenants. Any thread may use it.

    Laws: `read` sees one moment of a tenant, never half of a change; `update` hands `change` the current
        values and writes what it returns all or not at all, and no other update of these keys falls
        between; no tenant's keys reach another's; a value may be gone once it has expired, and no earlier;
        what `update` has written outlives the process, unless the store says otherwise.

    Raises, from every method:
        Unavailable: if the store is out of reach, or took longer than it may.
        InvalidInput: for what cannot be a tenant's name.
    """

    def read(self, tenant: str, keys: Sequence[Key]) -> Values:
        """The values of some keys."""
        ...

    def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
        """Change some keys; False where `change` returned None. It may be called more than once."""
        ...

    def clear(self, tenant: str) -> None:
        """Remove all of a tenant."""
        ...

    def sweep(self, now_us: int) -> int:
        """Remove what has expired; how many that were (0 where the store does so by itself)."""
        ...

    def close(self) -> None:
        """Let go of files and connections. A second call does nothing."""
        ...
