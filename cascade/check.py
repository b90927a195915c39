"""The plan of a cascade, checked before anything is loaded: what reads what, and cuts that do nothing."""

from collections.abc import Sequence
from difflib import get_close_matches

import msgspec

from cascade.build import available
from cascade.config import CascadeConfig
from cascade.stage import SCORE, StageSpec
from features.errors import InvalidConfig
from features.feature import COMPUTED


class FeatureRow(msgspec.Struct, frozen=True):
    """One feature of the plan: what it reads, and the columns it makes."""

    name: str
    kind: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]


class StageRow(msgspec.Struct, frozen=True):
    """One stage of the plan. `sees`, `keep`: at most that many candidates; None = all."""

    name: str
    kind: str
    reads: tuple[str, ...]
    sees: int | None
    keep: int | None
    on_late: str
    on_error: str


class Plan(msgspec.Struct, frozen=True):
    """A cascade as it will run, and what in it is cost without effect."""

    features: tuple[FeatureRow, ...]
    stages: tuple[StageRow, ...]
    warnings: tuple[str, ...]


def plan(config: CascadeConfig) -> Plan:
    """The plan of a declared cascade.

    Raises:
        InvalidConfig: if a stage reads a column that nothing before it makes.
    """
    names = config.feature_set().names
    check_reads(config.stages, names)
    features = tuple(
        FeatureRow(each.name, each.kind, tuple(read.name for read in each.inputs), each.outputs)
        for each in config.features
    )
    stages = tuple(stage_row(config.stages, position, names) for position in range(len(config.stages)))
    return Plan(features, stages, (*idle_cuts(stages), *unread(features, stages)))


def check_reads(stages: Sequence[StageSpec], features: Sequence[str]) -> None:
    """Refuse a stage that reads a column which no feature and no stage before it makes."""
    for position, spec in enumerate(stages):
        there = available(features, stages[:position])
        for name in spec.columns(there):
            if name not in there:
                raise InvalidConfig(
                    f"stage {spec.name!r} reads {name!r}, {absence(name, there, stages[position:])}",
                    path=f"$.stages[{position}]",
                )


def absence(name: str, there: Sequence[str], later: Sequence[StageSpec]) -> str:
    """Why a column is not there, and the nearest one that is."""
    if name.removeprefix(SCORE) in {spec.name for spec in later}:
        return "the score of a stage that has not run by then"
    near = get_close_matches(name, there, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"which nothing makes; {hint}there are {', '.join(there) or 'none'}"


def stage_row(stages: Sequence[StageSpec], position: int, features: Sequence[str]) -> StageRow:
    """One stage of the plan; the smallest cut before it says how many candidates it sees."""
    spec = stages[position]
    cuts = [before.keep for before in stages[:position] if before.keep is not None]
    columns = spec.columns(available(features, stages[:position]))
    reads = (*columns, *(read.name for read in spec.inputs))
    sees = min(cuts) if cuts else None
    return StageRow(spec.name, spec.kind, reads, sees, spec.keep, spec.on_late, spec.on_error)


def idle_cuts(stages: Sequence[StageRow]) -> list[str]:
    """Stages that see no more than they keep: they reorder, but what is kept was settled before them."""
    return [
        f"$.stages[{position}].keep: {row.name!r} sees {row.sees} and keeps {row.keep}: it cannot change"
        " which candidates are kept; let the stage before it keep more"
        for position, row in enumerate(stages)
        if row.keep is not None and row.keep == row.sees
    ]


def unread(features: Sequence[FeatureRow], stages: Sequence[StageRow]) -> list[str]:
    """Features that are computed for every candidate and that nothing reads."""
    used = {name for row in stages for name in row.reads}
    used |= {name.removeprefix(COMPUTED) for row in features for name in row.reads}
    return [
        f"$.features[{position}]: nothing reads {row.name!r}"
        for position, row in enumerate(features)
        if not used & set(row.makes)
    ]
