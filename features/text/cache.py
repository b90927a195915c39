"""Analysed texts by content, the least recently used one leaving first."""

from collections import OrderedDict
from sys import getsizeof
from threading import Lock

from features.text.analyzer import Analyzer
from features.text.kernels import Hashes

DEFAULT_BUDGET_BYTES = 64 << 20


class ContentCache:
    """Term hashes of (analyzer, text) within a budget of bytes, texts counted too; thread safe."""

    def __init__(self, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self._held: OrderedDict[tuple[Analyzer, str], Hashes] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, analyzer: Analyzer, text: str) -> Hashes | None:
        """The text's term hashes (read-only), or None where they are not held."""
        key = (analyzer, text)
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, analyzer: Analyzer, text: str, hashes: Hashes) -> None:
        """Hold a copy of a text's hashes; a text larger than the budget is not held."""
        key, size = (analyzer, text), _size(text, hashes)
        held = hashes.copy()
        held.flags.writeable = False
        with self._lock:
            if key in self._held or size > self.budget_bytes:
                return
            self._held[key] = held
            self.used_bytes += size
            while self.used_bytes > self.budget_bytes:
                (_, old), gone = self._held.popitem(last=False)
                self.used_bytes -= _size(old, gone)


def _size(text: str, hashes: Hashes) -> int:
    return getsizeof(text) + hashes.nbytes


CACHE = ContentCache()
"""The process's cache."""
