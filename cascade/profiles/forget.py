"""Takes a person out of a tenant's profiles.

What goes is theirs: their profile, those of their sessions, and the pages they were shown. Counts of items
and queries to which they added stay: they name nobody.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from cascade.eventlog.layout import IMPRESSIONS
from cascade.eventlog.read import scan
from cascade.profiles.keys import DONE, EARLY, PAGE, SESSION, USER, key_of
from cascade.profiles.store import Changes, Key, ProfileStore, Values

AT_A_TIME = 1_000


def traces_of(home: Path, user: str) -> list[Key]:
    """The keys that hold something of a person, by what the log has of them; ask before it is forgotten."""
    keys: dict[Key, None] = {key_of(USER, user): None}
    for table in scan(home, IMPRESSIONS, columns=("request_id", "user", "session")):
        for row in table.to_pylist():
            if row["user"] == user:
                keys |= dict.fromkeys(key_of(kind, row["request_id"]) for kind in (PAGE, DONE, EARLY))
                if row["session"]:
                    keys[key_of(SESSION, row["session"])] = None
    return list(keys)


def forget_traces(store: ProfileStore, tenant: str, keys: Iterable[Key]) -> int:
    """Remove them; how many were there."""
    total, left = 0, iter(keys)
    while some := list(islice(left, AT_A_TIME)):
        there: list[Key] = []

        def change(values: Values, some: list[Key] = some, there: list[Key] = there) -> Changes:
            there[:] = [key for key, value in zip(some, values, strict=True) if value is not None]
            return dict.fromkeys(there)

        store.update(tenant, some, change)
        total += len(there)
    return total
