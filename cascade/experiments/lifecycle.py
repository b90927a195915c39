"""The experiments of a ranker: one at a time, and those before it by their names."""

from collections.abc import Collection

import msgspec

from cascade.experiments.declared import Experiment, checked
from features.errors import Conflict, InvalidInput, NotFound, NotReady

REMEMBERED = 100
"""Ended experiments that can still be judged."""


class Experiments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What runs, if anything, and what ran before, oldest first."""

    running: Experiment | None = None
    past: tuple[Experiment, ...] = ()

    def find(self, name: str = "") -> Experiment:
        """The named one; without a name the one that runs, or else the last that ran.

        Raises:
            NotFound: if there is none, naming those there are.
        """
        every = (*self.past, *([self.running] if self.running else []))
        found = [one for one in every if name in ("", one.name)]
        if not found:
            there = ", ".join(one.name for one in every) or "none"
            raise NotFound(f"no experiment {name!r}; there are {there}", path="name")
        return found[-1]


def begun(
    before: Experiments, experiment: Experiment, promoted: str, versions: Collection[str]
) -> Experiments:
    """The experiment runs.

    Args:
        promoted: the version that serves; "" = none. `versions`: all there are.

    Raises:
        InvalidInput: if the experiment cannot be right.
        NotFound: for an arm that is no version.
        NotReady: if nothing is promoted.
        Conflict: if one runs, one of that name ran, or its control is not what serves.
    """
    if not promoted:
        raise NotReady("nothing is promoted, so there is nothing to compare with; `sluice promote` first")
    checked(experiment)
    if before.running:
        raise Conflict(f"{before.running.name!r} runs; end it with `sluice experiment stop`")
    if experiment.name in {one.name for one in before.past}:
        raise Conflict(f"an experiment {experiment.name!r} ran before; pages bear its name, so take another")
    for position, version in enumerate(experiment.arms):
        if version not in versions:
            there = ", ".join(versions) or "none"
            raise NotFound(f"no version {version!r}; there are {there}", path=f"arms[{position}]")
    if experiment.control != promoted:
        raise Conflict(f"{promoted} serves, while the control is {experiment.control}")
    return Experiments(experiment, before.past)


def ended(before: Experiments, time: str) -> Experiments:
    """Nothing runs any more; what ran can still be judged.

    Raises:
        NotReady: if nothing runs.
    """
    if before.running is None:
        raise NotReady("no experiment runs")
    done = msgspec.structs.replace(before.running, ended=time)
    return Experiments(None, (*before.past, done)[-REMEMBERED:])


def challenged(versions: Collection[str], control: str, arms: Collection[str]) -> tuple[str, ...]:
    """The control and its challengers, whose names may be shortened to a beginning that only one has.

    Raises:
        NotFound: for what no version begins with. InvalidInput: for what several begin with.
    """
    return control, *(one for arm in arms if (one := unique(arm, versions)) != control)


def unique(arm: str, versions: Collection[str]) -> str:
    """The version that is called so, or begins so."""
    found = [arm] if arm in versions else [one for one in versions if arm and one.startswith(arm)]
    if not found:
        raise NotFound(f"no version {arm!r}; there are {', '.join(versions) or 'none'}", path="--arm")
    if len(found) > 1:
        raise InvalidInput(f"{arm!r} is the beginning of {', '.join(found)}", path="--arm")
    return found[0]
