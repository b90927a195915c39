"""What a catalogue reads, and what it hands out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cascade.changes import Changes, Key
from cascade.experiments.lifecycle import Experiments
from cascade.promotion import Promotion
from cascade.ranker import Ranker
from serving.convert import Reads

Load = Callable[[Path, str], Ranker]

Handle = tuple[str, str, str]
"""Tenant, ranker and version."""


class Source(Protocol):
    """What of `cascade.store.Store` serving reads."""

    def tenants(self) -> tuple[str, ...]: ...

    def rankers(self, tenant: str) -> tuple[str, ...]: ...

    def versions(self, tenant: str, ranker: str) -> tuple[str, ...]: ...

    def promotion(self, tenant: str, ranker: str) -> Promotion: ...

    def path(self, tenant: str, ranker: str, version: str | None = None) -> Path: ...

    def experiments(self, tenant: str, ranker: str) -> Experiments: ...

    def changes(self) -> Changes: ...


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Served:
    """A loaded ranker with the columns that it reads, by name; and what the caller should know of it.

    Attributes:
        warnings: where it stands in for another one.
    """

    ranker: Ranker
    reads: Reads
    warnings: tuple[str, ...] = ()


def key_of(handle: Handle) -> Key:
    """The ranker of a handle."""
    return handle[:2]


def shown(names: Key | Handle) -> str:
    """As people write it: `tenant/ranker`, `tenant/ranker@version`."""
    return "@".join(("/".join(names[:2]), *names[2:]))
