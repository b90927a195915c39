"""Files that are the same are loaded once in a process, whoever they belong to."""

from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Shared(Generic[T]):
    """What was made of files, by the SHA-256 of their content, alive as long as somebody holds it.

    What is shared must never be changed. Two threads that ask for the same new content at the same moment may
    both make it, and both are given one of the two.
    """

    def __init__(self) -> None:
        self._made: WeakValueDictionary[str, T] = WeakValueDictionary()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._made)

    def of(self, content: bytes, make: Callable[[bytes], T]) -> T:
        """What `make` makes of the content, or made of the same before."""
        key = sha256(content).hexdigest()
        with self._lock:
            found = self._made.get(key)
        if found is not None:
            return found
        made = make(content)  # outside the lock: others need not wait for this one
        with self._lock:
            return self._made.setdefault(key, made)
