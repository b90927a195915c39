"""Whether a table gives a tenant's rankers what they read."""

from collections.abc import Iterator
from dataclasses import dataclass

from cascade.config import parse_config
from cascade.documents.source import Columns
from cascade.files import read_text
from cascade.manifest import CONFIG
from cascade.store import DirectoryStore
from features.behaviour import PREFIX as BEHAVIOUR
from features.columns import Input, Kind, missing, read_as
from features.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Fit:
    """What promoted rankers read and a table does not give.

    Attributes:
        absent: ranker → columns that the table lacks: requests have to send them.
        wrong: sentences on columns that are there and cannot be read as what a ranker needs.
    """

    absent: dict[str, tuple[str, ...]]
    wrong: tuple[str, ...]


def fit(store: DirectoryStore, tenant: str, columns: Columns) -> Fit:
    """Compare a table's columns with what the tenant's promoted rankers read."""
    absent: dict[str, tuple[str, ...]] = {}
    wrong: list[str] = []
    for ranker, inputs in promoted_inputs(store, tenant):
        lacks = dict.fromkeys(read.name for read in inputs if read.name not in columns)
        absent |= {ranker: tuple(lacks)} if lacks else {}
        wrong += [
            f"{read.name}: is a {columns[read.name].kind} column where {ranker!r} reads a {read.kind}"
            for read in inputs
            if read.name in columns and not readable(columns[read.name].kind, read.kind)
        ]
    return Fit(absent, tuple(wrong))


def promoted_inputs(store: DirectoryStore, tenant: str) -> Iterator[tuple[str, tuple[Input, ...]]]:
    """What each promoted ranker reads of candidates, as its cascade declares it; profiles aside."""
    for ranker in store.rankers(tenant):
        version = store.promotion(tenant, ranker).version
        if not version:
            continue
        config = parse_config(read_text(store.path(tenant, ranker, version) / CONFIG))
        every = (*config.feature_set().inputs, *(read for spec in config.stages for read in spec.inputs))
        yield ranker, tuple(read for read in dict.fromkeys(every) if not read.name.startswith(BEHAVIOUR))


def readable(kind: Kind, wanted: Kind) -> bool:
    """Whether columns of one kind can be read as the other."""
    try:
        read_as(missing(kind, 0), wanted)
    except InvalidInput:
        return False
    return True
