"""A profile store in memory: for tests, for replaying a log, and for what need not outlive the process."""

import threading
from collections.abc import Sequence

from cascade.profiles.keys import prefix_of
from cascade.profiles.store import Change, Entry, Key, Values


class MemoryProfiles:
    """Keeps the contract of `ProfileStore` except that nothing outlives it."""

    def __init__(self) -> None:
        self._tenants: dict[bytes, dict[Key, Entry]] = {}
        self._lock = threading.Lock()

    def read(self, tenant: str, keys: Sequence[Key]) -> Values:
        """The values of some keys."""
        with self._lock:
            return self._values(prefix_of(tenant), keys)

    def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
        """Change some keys."""
        prefix = prefix_of(tenant)
        with self._lock:
            changes = change(self._values(prefix, keys))
            there = self._tenants.setdefault(prefix, {})
            for key, entry in (changes or {}).items():
                if entry is None:
                    there.pop(key, None)
                else:
                    there[key] = entry
        return changes is not None

    def clear(self, tenant: str) -> None:
        """Remove all of a tenant."""
        with self._lock:
            self._tenants.pop(prefix_of(tenant), None)

    def sweep(self, now_us: int) -> int:
        """Remove what has expired."""
        with self._lock:
            over = [
                (there, key)
                for there in self._tenants.values()
                for key, entry in there.items()
                if 0 < entry.expires_us <= now_us
            ]
            for there, key in over:
                del there[key]
        return len(over)

    def close(self) -> None:
        """Nothing to let go of."""

    def _values(self, prefix: bytes, keys: Sequence[Key]) -> Values:
        there = self._tenants.get(prefix, {})
        return [entry.value if (entry := there.get(key)) else None for key in keys]
