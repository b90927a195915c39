"""Loaded rankers within a budget of bytes: who took long to load and weighs little stays longest.

GreedyDual-Size (Cao and Irani 1997, "Cost-Aware WWW Proxy Caching Algorithms"): a ranker has the credit H = L
+ cost / size when it is loaded and whenever it is used; the least credit leaves first, and L becomes that
credit, so that whoever is not used falls behind. Cost is the seconds that loading took. A part that several
rankers hold (a model file) counts once in what is used, and in a ranker's size as its share of the holders.
"""

from collections import Counter
from dataclasses import dataclass
from threading import RLock

from serving.rankers.served import Handle, Served
from serving.rankers.weigh import Parts


@dataclass(slots=True, eq=False)
class Entry:
    """One loaded ranker."""

    served: Served
    parts: Parts
    cost_s: float
    credit: float = 0.0


class Held:
    """See above. Safe among threads."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self._age = 0.0
        self._entries: dict[Handle, Entry] = {}
        self._holders: Counter[str] = Counter()
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, handle: Handle) -> bool:
        return handle in self._entries

    @property
    def has_room(self) -> bool:
        """Whether something may be loaded that nobody has asked for yet."""
        return self.used < self.budget

    def fits(self, parts: Parts) -> bool:
        """Whether something of these parts can be held without letting others go."""
        with self._lock:
            more = sum(size for part, size in parts.items() if part not in self._holders)
            return self.used + more <= self.budget

    def get(self, handle: Handle) -> Served | None:
        """A loaded ranker, its credit renewed; None where it is not held."""
        entry = self._entries.get(handle)
        if entry is None:
            return None
        entry.credit = self._age + entry.cost_s / self._size(entry.parts)  # one assignment: needs no lock
        return entry.served

    def put(self, handle: Handle, served: Served, parts: Parts, cost_s: float) -> list[Handle]:
        """Hold a ranker, and let others go until all fit.

        Returns:
            Who has gone. The newcomer stays even where it alone is larger than the budget.
        """
        with self._lock:
            self.drop(handle)
            self._entries[handle] = entry = Entry(served, parts, cost_s)
            self._count(parts, 1)
            gone = []
            while self.used > self.budget and len(self._entries) > 1:
                gone.append(self._evict(handle))
            entry.credit = self._age + cost_s / self._size(parts)
            return gone

    def drop(self, handle: Handle) -> None:
        """Let a ranker go; requests in flight keep it until they are answered."""
        with self._lock:
            entry = self._entries.pop(handle, None)
            if entry is not None:
                self._count(entry.parts, -1)

    def own_bytes(self, handle: Handle) -> int:
        """Bytes that only this ranker holds, and that go with it; 0 where it is not held."""
        with self._lock:
            entry = self._entries.get(handle)
            parts = entry.parts if entry else {}
            return sum(size for part, size in parts.items() if self._holders[part] == 1)

    def _evict(self, newcomer: Handle) -> Handle:
        others = (handle for handle in self._entries if handle != newcomer)
        victim = min(others, key=lambda handle: self._entries[handle].credit)
        self._age = self._entries[victim].credit
        self.drop(victim)
        return victim

    def _count(self, parts: Parts, by: int) -> None:
        for part, size in parts.items():
            before = self._holders[part]
            self._holders[part] += by
            if not before or not self._holders[part]:
                self.used += by * size
            if not self._holders[part]:
                del self._holders[part]

    def _size(self, parts: Parts) -> float:
        return max(1.0, sum(size / max(1, self._holders[part]) for part, size in parts.items()))
