"""Which loaded version stands for which ranker, and which ones callers have pinned."""

from collections import OrderedDict
from threading import RLock

from cascade.changes import Key
from serving.rankers.held import Held
from serving.rankers.served import Handle, Served, key_of
from serving.rankers.weigh import Parts


class Standing:
    """Safe among threads; what requests read is put in place by one assignment."""

    def __init__(self, held: Held, most_pinned: int) -> None:
        self.held, self._most_pinned = held, most_pinned
        self._serving: dict[Key, Served] = {}
        self._wanted: dict[Key, str] = {}
        self._pins: OrderedDict[Handle, None] = OrderedDict()
        self._lock = RLock()

    def serving(self, key: Key) -> Served | None:
        """What serves a ranker's callers, used once more; None where nothing is loaded."""
        served = self._serving.get(key)
        if served is not None:
            self.held.get((*key, served.ranker.version))
        return served

    def version(self, key: Key) -> str:
        """The version that serves, "" for none."""
        served = self._serving.get(key)
        return served.ranker.version if served else ""

    def wanted(self, key: Key) -> str:
        """The version that should serve, "" for none that is known."""
        return self._wanted.get(key, "")

    def want(self, key: Key, version: str) -> None:
        """The store has promoted a version: it will serve once it is loaded."""
        with self._lock:
            self._wanted[key] = version

    def followed(self) -> tuple[Key, ...]:
        """Rankers that serve, or should."""
        with self._lock:
            return tuple(self._wanted)

    def pinned(self, handle: Handle) -> Served | None:
        """A version that callers pin, used once more. From now on it may be held beside the one that
        serves."""
        with self._lock:
            self._pins[handle] = None
            self._pins.move_to_end(handle)
            while len(self._pins) > self._most_pinned:
                old, _ = self._pins.popitem(last=False)
                self._release(old)
            return self.held.get(handle)

    def install(self, handle: Handle, served: Served, parts: Parts, cost_s: float) -> tuple[Handle, ...]:
        """A version was loaded. It serves if it is still the one that should.

        Returns:
            What had to go for it.
        """
        with self._lock:
            key = key_of(handle)
            serves = self._wanted.get(key) == handle[2]
            if not serves and handle not in self._pins:
                return ()
            gone = self.held.put(handle, served, parts, cost_s)
            if serves:
                self._take_place(handle, served)
            for each in gone:
                self._gone(each)
            return tuple(gone)

    def loaded(self, handle: Handle) -> Served | None:
        """A version that is held already, pinned perhaps. It serves if it is the one that should."""
        with self._lock:
            served = self.held.get(handle)
            if served is not None and self._wanted.get(key_of(handle)) == handle[2]:
                self._take_place(handle, served)
            return served

    def give_up(self, handle: Handle) -> None:
        """A version is not loaded after all; the store is asked again when somebody wants it."""
        with self._lock:
            key = key_of(handle)
            if key not in self._serving and self._wanted.get(key) == handle[2]:
                del self._wanted[key]

    def drop(self, key: Key) -> None:
        """Nothing is promoted any more."""
        with self._lock:
            self._wanted.pop(key, None)
            served = self._serving.pop(key, None)
            if served is not None:
                self._release((*key, served.ranker.version))

    def _take_place(self, handle: Handle, served: Served) -> None:
        key = key_of(handle)
        before = self.version(key)
        self._serving[key] = served
        if before != handle[2]:
            self._release((*key, before))

    def _release(self, handle: Handle) -> None:
        """Let a version go, unless it serves or is pinned."""
        if handle not in self._pins and self.version(key_of(handle)) != handle[2]:
            self.held.drop(handle)

    def _gone(self, handle: Handle) -> None:
        key = key_of(handle)
        self._pins.pop(handle, None)
        if self.version(key) == handle[2]:
            del self._serving[key]
            self._wanted.pop(key, None)
